"""What a call can raise.

SIEError
 ├── SIEConnectionError        nobody answered, or not in time
 ├── RequestError              refused: a mistake in the request, a limit, no permission (4xx)
 ├── ServerError               the server failed (5xx)
 │    ├── ModelLoadFailedError      the model cannot be loaded
 │    └── ResourceExhaustedError    the device is out of memory, after retries
 ├── ProvisioningError         capacity was not there in time
 ├── ModelLoadingError         the model was not loaded in time
 ├── LoraLoadingError          the adapter was not loaded in time
 ├── PoolError                 a pool could not be made, read or deleted
 └── ClientClosedError         the client was closed, perhaps while this call waited
"""

from collections.abc import Mapping


class SIEError(Exception):
    """Base of everything that this package raises on purpose.

    Args:
        message: a sentence for a person.
        code: reason in capitals, such as `MODEL_NOT_FOUND`; None where none was told.
        status_code: HTTP status (over gRPC: of the same reason); None where nobody answered.
        request_id: under which the server's log has the details.
        retry_after: seconds after which the same call may succeed; None where waiting does not
            help or nothing is known.
        metadata: the values behind the message, such as `field`.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status_code: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status_code = status_code
        self.request_id = request_id
        self.retry_after = retry_after
        self.metadata = dict(metadata or {})

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" if self.code else self.message


class SIEConnectionError(SIEError):
    """Nobody answered, or not in time."""


class RequestError(SIEError):
    """The server refused the request."""


class ServerError(SIEError):
    """The server failed."""


class ModelLoadFailedError(ServerError):
    """The model cannot be loaded; trying again does not help while `permanent` is true."""

    @property
    def error_class(self) -> str | None:
        """Kind of the failure, such as `GATED`."""
        return self.metadata.get("error_class")

    @property
    def permanent(self) -> bool:
        """Whether it stays until the model's definition changes."""
        return self.metadata.get("permanent", "true").lower() != "false"

    @property
    def attempts(self) -> int:
        """Loads that were tried."""
        attempts = self.metadata.get("attempts", "")
        return int(attempts) if attempts.isdecimal() else 1


class ResourceExhaustedError(ServerError):
    """The device is out of memory, also after the retries."""


class ProvisioningError(SIEError):
    """Capacity was not there within `provision_timeout_s`."""

    @property
    def gpu(self) -> str | None:
        """The machine profile that was waited for."""
        return self.metadata.get("gpu") or None


class ModelLoadingError(SIEError):
    """The model was not loaded within `provision_timeout_s`."""


class LoraLoadingError(SIEError):
    """The adapter was not loaded within its retries."""


class PoolError(SIEError):
    """A pool could not be made, read or deleted."""

    @property
    def pool_name(self) -> str | None:
        """The pool."""
        return self.metadata.get("pool")

    @property
    def state(self) -> str | None:
        """Where it stood, if that was told."""
        return self.metadata.get("state")


class ClientClosedError(SIEError):
    """The client was closed."""
