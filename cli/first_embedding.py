"""The proof that a stack serves: one sentence, encoded through the gateway."""

import http.client
import ssl
from collections.abc import Callable

from cli.errors import CommandError
from cli.ports import HOST
from cli.probes import Answer, http_post

SENTENCE = "Small models, served well."

_ASK_AGAIN_S = 0.05
# Answers of a gateway that has not heard of its worker yet.
_NOT_YET = (http.HTTPStatus.ACCEPTED, http.HTTPStatus.SERVICE_UNAVAILABLE)


def first_embedding(
    port: int,
    model: str,
    sleep: Callable[[float], None],
    tls: ssl.SSLContext | None,
    timeout_s: float = 30.0,
) -> list[float] | None:
    """Encodes `SENTENCE` to a dense vector, asking again while the gateway says: not yet.

    None: the model makes none, such as a reranker.

    Raises:
        CommandError: the gateway refuses, or still says "not yet" after `timeout_s` seconds.
    """
    path, body = f"/v1/encode/{model}", {"items": [{"text": SENTENCE}]}
    for _ in range(round(timeout_s / _ASK_AGAIN_S)):
        try:
            answer = http_post(HOST, port, path, body, timeout_s, tls)
        except (OSError, http.client.HTTPException) as error:
            raise CommandError(f"the gateway did not answer the first request: {error}") from None
        if answer.status not in _NOT_YET:
            break
        sleep(_ASK_AGAIN_S)
    if answer.status != http.HTTPStatus.OK:
        reason = _reason(answer)
        if reason.endswith("[UNSUPPORTED_OUTPUT]"):
            return None
        raise CommandError(f"the first request failed: HTTP {answer.status}, {reason}")
    dense = answer.json()["items"][0].get("dense")
    return None if dense is None else list(dense["values"])


def _reason(answer: Answer) -> str:
    """`message [CODE]`, where the answer has them."""
    try:
        error = answer.json()["error"]
        return f"{error['message']} [{error['code']}]"
    except (ValueError, KeyError, TypeError):
        return answer.body[:200].decode(errors="replace") or "empty body"
