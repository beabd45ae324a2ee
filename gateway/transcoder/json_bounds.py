"""How much a JSON document may hold, told before it is parsed.

A container that is empty takes two bytes of a body, 64 of memory and the time of a collector that
walks over all of them again and again: 16 MB of them would hold up everybody else for seconds.
"""

import numpy as np

MOST_CONTAINERS = 500_000
_OTHERS = bytes(set(range(256)) - set(b'"[{'))


def within_bounds(body: bytes) -> bool:
    """Whether a document has at most MOST_CONTAINERS objects and lists.

    Brackets that stand in strings do not count, but only where there are many is it worth while
    to tell which those are.
    """
    if len(body) <= MOST_CONTAINERS or _openings(body) <= MOST_CONTAINERS:
        return True
    if b"\\" in body:
        body = body.replace(rb"\\", b"").replace(rb"\"", b"")
    marks = np.frombuffer(body.translate(None, _OTHERS), np.uint8)
    is_quote = marks == ord('"')
    # Odd behind the quote that opens a string, even behind the one that closes it.
    within_string = np.cumsum(is_quote, dtype=np.uint8) & 1
    return len(marks) - int(np.count_nonzero(is_quote | within_string)) <= MOST_CONTAINERS


def _openings(body: bytes) -> int:
    return body.count(b"[") + body.count(b"{")
