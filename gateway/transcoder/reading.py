"""What a JSON value should have been: errors that find their path on the way out."""

from typing import Any

_KINDS = {
    dict: "an object",
    list: "a list",
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "a boolean",
    type(None): "null",
}
# Keys are the caller's; a path must not grow with them.
_LONGEST_NAME = 80


class FieldError(Exception):
    """A value breaks a rule. Readers add their part of the path as it passes them."""

    def __init__(self, problem: str, path: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.path = path

    def within(self, name: str) -> None:
        """The value stands in field `name`."""
        dot = "" if not self.path or self.path.startswith("[") else "."
        self.path = f"{name[:_LONGEST_NAME]}{dot}{self.path}"

    def at(self, index: int) -> None:
        """The value stands at `index` of a list."""
        dot = "" if not self.path or self.path.startswith("[") else "."
        self.path = f"[{index}]{dot}{self.path}"


def expected(what: str, value: Any) -> FieldError:
    """`expected a string, got a number`."""
    return FieldError(f"expected {what}, got {_KINDS.get(type(value), 'binary data')}")
