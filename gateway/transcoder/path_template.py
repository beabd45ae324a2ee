"""Path templates of google/api/http.proto.

    Template  = "/" Segments [ ":" Verb ]
    Segments  = Segment { "/" Segment }
    Segment   = "*" | "**" | LITERAL | Variable
    Variable  = "{" FieldPath [ "=" Segments ] "}"

`**` is last but for the verb, or for literal segments behind it (`/v1/{id=**}/status`). Here
it stands for at least one segment, and no segment is empty: a variable that names a resource
is never empty, and `/v1/models/` is not a model.
Values are decoded in full, escaped slashes too (`fully_decode_reserved_expansion`): clients
that escape the slash of a model id mean that slash.
"""

import re
from urllib.parse import unquote_to_bytes

from servicekit.errors import invalid

_PART = re.compile(r"\*\*|\*|\{|\}|=|/|[^/*{}=]+")
_SEGMENT = r"[^/]+"
_PATTERNS = {"*": _SEGMENT, "**": rf"{_SEGMENT}(?:/{_SEGMENT})*"}
_MISPLACED = re.compile(r"//|/$|[^/=*]\*|\*[^*/:}]|\*{3}|\}[^/:]|[^/]\{")
_LITERAL = re.compile(r"/|[^/*{}=]+")
_FIELD_PATH = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class PathTemplate:
    """A compiled template.

    Raises:
        ValueError: the template breaks the grammar.
    """

    def __init__(self, template: str) -> None:
        self.template = template
        # Field paths, in the order of the path.
        self.variables: list[str] = []
        # What every matching path begins with.
        self.literal_prefix = re.split(r"[*{]", template, maxsplit=1)[0]
        self._regex = re.compile(self._compile())
        # Equal for templates that match the same paths.
        self.shape = self._regex.pattern

    @property
    def is_literal(self) -> bool:
        return self.literal_prefix == self.template

    def match(self, path: str) -> tuple[str, ...] | None:
        """Raw values of the variables in an undecoded path, or None."""
        found = self._regex.fullmatch(path)
        return found.groups() if found else None

    def values(self, captured: tuple[str, ...]) -> list[tuple[str, str]]:
        """Field paths with the decoded values of what `match` gave."""
        return [
            (field_path, _decode(field_path, text) if "%" in text else text)
            for field_path, text in zip(self.variables, captured, strict=True)
        ]

    def _compile(self) -> str:
        if not self.template.startswith("/"):
            raise self._error("must begin with a slash")
        if _MISPLACED.search(self.template):
            raise self._error("segments stand between single slashes")
        parts = _PART.findall(self.template[1:])
        pattern, rest = "/", list(reversed(parts))
        while rest:
            part = rest.pop()
            pattern += self._variable(rest) if part == "{" else self._plain(part, rest)
        return pattern

    def _plain(self, part: str, rest: list[str]) -> str:
        if part in ("{", "}", "="):
            raise self._error(f"unexpected {part}")
        if part == "**" and rest and not rest[-1].startswith((":", "}")):
            raise self._error("** must be the last segment")
        return _PATTERNS.get(part) or re.escape(part)

    def _variable(self, rest: list[str]) -> str:
        field_path = rest.pop() if rest else ""
        if not _FIELD_PATH.fullmatch(field_path):
            raise self._error(f"{field_path!r} is not a field path")
        inner: list[str] = []
        while rest and rest[-1] != "}":
            inner.append(rest.pop())
        if not rest:
            raise self._error("a variable is not closed")
        rest.pop()
        segments = inner[1:] if inner else ["*"]
        if inner and (inner[0] != "=" or not segments):
            raise self._error("a variable needs a pattern after its =")
        if "**" in segments and not all(_LITERAL.fullmatch(part) for part in rest):
            raise self._error("behind ** only literals may stand")
        self.variables.append(field_path)
        following = list(reversed(segments))
        pattern = ""
        while following:
            pattern += self._plain(following.pop(), following)
        return f"({pattern})"

    def _error(self, problem: str) -> ValueError:
        return ValueError(f"path template {self.template!r}: {problem}")


def _decode(field_path: str, text: str) -> str:
    if _BAD_ESCAPE.search(text):
        raise invalid(field_path, "the path holds a % that is not an escape")
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise invalid(field_path, "the path is not in UTF-8") from None
