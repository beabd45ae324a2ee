"""Request ids: the caller's own if it is sane, else a new one."""

import random
import re
import time
from collections.abc import Mapping

REQUEST_ID_HEADER = "x-sie-request-id"
_ACCEPTED_ID_HEADERS = (REQUEST_ID_HEADER, "x-request-id")
_REQUEST_ID = re.compile(r"[!-~]{1,128}")


def request_id_of(metadata: Mapping[str, str]) -> str:
    """The caller's request id if it is at most 128 visible ASCII characters, else a new one."""
    for header in _ACCEPTED_ID_HEADERS:
        given = metadata.get(header)
        if given and _REQUEST_ID.fullmatch(given):
            return given
    return _new_request_id()


def _new_request_id() -> str:
    """UUID version 7 (RFC 9562): ids sort by the time they were made."""
    milliseconds = time.time_ns() // 1_000_000
    noise = random.getrandbits(74)
    value = (milliseconds << 80) | (0x7 << 76) | ((noise >> 62) << 64) | (0b10 << 62)
    text = f"{value | (noise & ((1 << 62) - 1)):032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
