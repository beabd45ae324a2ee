"""multipart/form-data (RFC 7578) as it comes: no part of it is held whole."""

from collections.abc import Iterator
from email.message import Message
from email.parser import BytesHeaderParser
from enum import Enum, auto
from typing import NamedTuple

from servicekit.errors import SieError, invalid
from sie.errors.v1.error_reason_pb2 import ErrorReason

MULTIPART = "multipart/form-data"
_LONGEST_HEAD = 8192
_LONGEST_BOUNDARY = 70


class Part(NamedTuple):
    """The beginning of a part; the bytes behind it are its content.

    Args:
        name: of the form's field.
        filename: of a file; empty for other fields.
    """

    name: str
    filename: str


class _State(Enum):
    CONTENT = auto()
    BOUNDARY = auto()
    HEAD = auto()
    END = auto()


def is_multipart(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == MULTIPART


class MultipartSplitter:
    """Makes parts and their content of blocks.

    Args:
        content_type: of the request; names the boundary.

    Raises:
        SieError: it names none.
    """

    def __init__(self, content_type: str) -> None:
        header = Message()
        header["content-type"] = content_type
        boundary = header.get_boundary() or ""
        if not 0 < len(boundary) <= _LONGEST_BOUNDARY:
            raise SieError(
                ErrorReason.ERROR_REASON_UNSUPPORTED_MEDIA_TYPE,
                f"{MULTIPART} needs a boundary of at most {_LONGEST_BOUNDARY} characters",
                content_type=content_type[:80],
            )
        self._delimiter = b"\r\n--" + boundary.encode("latin-1", "replace")
        # The first boundary may stand at the very beginning.
        self._buffer = bytearray(b"\r\n")
        self._state = _State.CONTENT
        self._in_part = False

    def add(self, block: bytes) -> Iterator[Part | bytes]:
        """What a block adds: beginnings of parts, and pieces of their content.

        Raises:
            SieError: INVALID_INPUT.
        """
        self._buffer += block
        while True:
            before = len(self._buffer), self._state
            match self._state:
                case _State.CONTENT:
                    if content := self._content():
                        yield content
                case _State.BOUNDARY:
                    self._boundary()
                case _State.HEAD:
                    if (part := self._head()) is not None:
                        yield part
                case _State.END:
                    self._buffer.clear()
            if (len(self._buffer), self._state) == before:
                return

    def finish(self) -> None:
        """Raises SieError unless the last boundary has come."""
        if self._state is not _State.END:
            raise invalid("body", "multipart without its last boundary")

    def _content(self) -> bytes:
        """Content up to the next boundary, or as far as none can begin."""
        at = self._buffer.find(self._delimiter)
        end = at if at >= 0 else max(0, len(self._buffer) - len(self._delimiter) + 1)
        content = bytes(self._buffer[:end]) if self._in_part else b""
        del self._buffer[: end + (len(self._delimiter) if at >= 0 else 0)]
        if at >= 0:
            self._state = _State.BOUNDARY
        return content

    def _boundary(self) -> None:
        if len(self._buffer) < 2:
            return
        following = bytes(self._buffer[:2])
        if following == b"--":
            self._state = _State.END
        elif following == b"\r\n":
            del self._buffer[:2]
            self._state = _State.HEAD
        else:
            raise invalid("body", "multipart with a boundary that does not end its line")

    def _head(self) -> Part | None:
        at = self._buffer.find(b"\r\n\r\n")
        if at < 0 and len(self._buffer) <= _LONGEST_HEAD:
            return None
        if not 0 <= at <= _LONGEST_HEAD:
            raise invalid("body", "multipart with a part whose head is too long")
        part = _part_of(bytes(self._buffer[: at + 4]))
        del self._buffer[: at + 4]
        self._in_part = True
        self._state = _State.CONTENT
        return part


def _part_of(head: bytes) -> Part:
    headers = BytesHeaderParser().parsebytes(head)
    name = headers.get_param("name", header="content-disposition")
    if not isinstance(name, str):
        raise invalid("body", "multipart with a part that has no name")
    return Part(_utf8(name), _utf8(headers.get_filename() or ""))


def _utf8(text: str) -> str:
    # The parser keeps bytes beyond ASCII as surrogates.
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
