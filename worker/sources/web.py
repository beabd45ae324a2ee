"""HTTP as far as fetching files needs it: ranges, redirects, and failures with a class."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from worker.load_errors import ErrorClass
from worker.sources.errors import SourceError

_TIMEOUT_S = 30.0
_MAX_REDIRECTS = 5
_AGENT = "sie-worker"
_DIGEST_DIGITS = (40, 64)
_REDIRECTS = {301, 302, 303, 307, 308}
# The hub answers 401 for what is not there, so as not to tell what is; this header tells.
_ERROR_CODES = {
    "RepoNotFound": ErrorClass.NOT_FOUND,
    "RevisionNotFound": ErrorClass.NOT_FOUND,
    "EntryNotFound": ErrorClass.NOT_FOUND,
    "GatedRepo": ErrorClass.GATED,
}


class _StayHere(urllib.request.HTTPRedirectHandler):
    """Leaves redirects to the caller: their headers matter, and tokens stay with their host."""

    def redirect_request(self, *_: Any) -> None:
        return None


_opener = urllib.request.build_opener(_StayHere)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer whose body is still to be read.

    Attributes:
        body: the bytes.
        status: 200, or 206 where they begin at the offset asked for.
        digest: what an ETag, or x-linked-etag on the way here, states of the file; or "".

    """

    body: http.client.HTTPResponse
    status: int
    digest: str


@contextmanager
def get(url: str, *, token: str = "", offset: int = 0) -> Iterator[Reply]:
    """Ask for a resource, from an offset on.

    Raises:
        SourceError: GATED, NOT_FOUND or NETWORK.

    """
    home, digest = urlsplit(url).netloc, ""
    for _ in range(_MAX_REDIRECTS):
        is_home = urlsplit(url).netloc == home
        answer = _ask(url, token if is_home else "", offset)
        digest = digest or _digest(answer.headers, linked_only=answer.status in _REDIRECTS)
        if answer.status in _REDIRECTS:
            url = urljoin(url, answer.headers.get("Location", ""))
            answer.close()
            continue
        with answer:
            yield Reply(answer, answer.status, digest)
        return
    raise SourceError(f"{url}: too many redirects", ErrorClass.NETWORK)


def _ask(url: str, token: str, offset: int) -> http.client.HTTPResponse:
    request = urllib.request.Request(url, headers={"User-Agent": _AGENT})  # noqa: S310 - http only
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    if offset:
        request.add_header("Range", f"bytes={offset}-")
    try:
        answer: http.client.HTTPResponse = _opener.open(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code in _REDIRECTS:
            return error  # type: ignore[return-value]  # it answers as a response does
        with error:
            raise _refused(url, error) from error
    except (OSError, http.client.HTTPException) as error:
        raise SourceError(f"{url} cannot be reached: {error}", ErrorClass.NETWORK) from error
    return answer


def _refused(url: str, error: urllib.error.HTTPError) -> SourceError:
    told = _ERROR_CODES.get(error.headers.get("X-Error-Code", ""))
    if told is None and error.code in {401, 403}:
        told = ErrorClass.GATED
    if told is None:
        told = ErrorClass.NOT_FOUND if error.code in {404, 410} else ErrorClass.NETWORK
    advice = "; set HF_TOKEN to a token that may read it" if told is ErrorClass.GATED else ""
    return SourceError(f"{url} answers {error.code} {error.reason}{advice}", told)


def _digest(headers: Any, *, linked_only: bool) -> str:
    tag = headers.get("x-linked-etag") or ("" if linked_only else headers.get("ETag")) or ""
    tag = tag.removeprefix("W/").strip('"').lower()
    with suppress(ValueError):
        int(tag, 16)
        return tag if len(tag) in _DIGEST_DIGITS else ""
    return ""
