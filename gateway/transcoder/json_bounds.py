"""How much a JSON document may hold, told before it is parsed.

A container that is empty takes two bytes of a body, 64 of memory and the time of a collector that
walks over all of them again and again: 16 MB of them would hold up everybody else for seconds.
"""

import numpy as np

MOST_CONTAINERS = 500_000


def within_bounds(body: bytes) -> bool:
    """Whether a document has at most MOST_CONTAINERS objects and lists.

    Brackets that stand in strings do not count, but only where there are many is it worth while
    to tell which those are.
    """
    if len(body) <= MOST_CONTAINERS or _openings(body) <= MOST_CONTAINERS:
        return True
    unescaped = body.replace(rb"\\", b"").replace(rb"\"", b"")
    characters = np.frombuffer(unescaped, np.uint8)
    # Odd behind the quote that opens a string, even behind the one that closes it.
    quotes = np.cumsum(characters == ord('"'), dtype=np.uint32)
    outside = characters[quotes % 2 == 0]
    return int(np.isin(outside, [ord("["), ord("{")]).sum()) <= MOST_CONTAINERS


def _openings(body: bytes) -> int:
    return body.count(b"[") + body.count(b"{")
