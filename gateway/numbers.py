"""Numbers written as text by a caller: headers, query and path, fields of a form.

JSON's numbers and nothing else. Python's own reading takes `1_0` for 10, digits of any alphabet,
blanks around them, `nan` and `inf`.
"""

import math
import re

_INTEGER = re.compile(r"-?[0-9]{1,20}")
_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")


def integer_of(text: str) -> int | None:
    """The integer that is written, of at most 20 digits; None: none is."""
    return int(text) if _INTEGER.fullmatch(text) else None


def number_of(text: str) -> float | None:
    """The finite number that is written; None: none is."""
    number = float(text) if _NUMBER.fullmatch(text) else math.inf
    return number if math.isfinite(number) else None
