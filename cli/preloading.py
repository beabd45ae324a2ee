"""What became of the models that a worker loads at its start, as its gateway has heard of it."""

import http.client
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cli.errors import CommandError
from cli.ports import HOST
from cli.probes import http_get


@dataclass(frozen=True)
class Preloading:
    """One worker's models.

    Args:
        loaded: ids of those that it serves.
        problems: why it does not serve the others, a sentence for each.
    """

    loaded: Sequence[str]
    problems: Sequence[str]

    @property
    def summary(self) -> str:
        loaded, failed = len(self.loaded), len(self.problems)
        if failed:
            return "; ".join([f"{loaded} of {loaded + failed} models loaded", *self.problems])
        return "model loaded" if loaded == 1 else f"{loaded} models loaded"


def preloading(
    port: int, worker: str, models: Sequence[str], tls: ssl.SSLContext | None
) -> Preloading | None:
    """Asks a gateway what a worker has made of `models`; None: it has not heard of that yet.

    Raises:
        CommandError: the gateway does not tell.
    """
    try:
        answer = http_get(HOST, port, "/health", tls=tls)
    except ssl.SSLEOFError:
        # It ends, or begins.
        return None
    except ssl.SSLError as error:
        raise CommandError(
            f"the gateway does not take the certificate of a caller: {error}"
        ) from None
    except (OSError, http.client.HTTPException):
        return None
    if answer.status == http.HTTPStatus.UNAUTHORIZED:
        raise CommandError("callers need a token here: set SIE_API_KEY to one of theirs")
    if answer.status != http.HTTPStatus.OK:
        raise CommandError(f"the gateway answers /health with HTTP {answer.status}")
    for heard in answer.json()["workers"]:
        if heard["name"] == worker and heard["healthy"]:
            return _of(heard, models)
    return None


def _of(heard: dict[str, Any], models: Sequence[str]) -> Preloading:
    loaded = [model for model in models if model in heard["loaded_models"]]
    reasons = {each["name"]: " ".join(each["message"].split()) for each in heard["failed_models"]}
    return Preloading(
        loaded,
        [
            reasons.get(model, f"model '{model}' is not registered, or still loading")
            for model in models
            if model not in loaded
        ],
    )
