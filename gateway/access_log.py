"""One line for each request, however it ended: who asked what, how it went, what it took.

    {"message": "request", "request_id": "...", "method": "POST", "path": "/v1/encode/...",
     "rpc": "encode", "status": 200, "tenant": "default", "model": "...", "items": 2,
     "tokens": 9, "ms": 7.81, "bytes_in": 53, "bytes_out": 8241}

Never what was asked: no text, no query string, no header beside the request id.
"""

import logging
import time
from dataclasses import dataclass, field

log = logging.getLogger(__name__)

# Asked every few seconds by machines; told of only where they fail.
_PROBES = frozenset({"/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"})
_LONGEST_PATH = 200


@dataclass(slots=True)
class Record:
    """What is known of one request so far.

    Attributes:
        request_id: the request's id.
        method: HTTP's, or `GRPC`.
        path: undecoded and without the query; the path of the rpc over gRPC.
        rpc: label of the endpoint; empty where none was found.
        status: HTTP status, also for gRPC.
        reason: code of the error; empty where there was none.
        tenant: of the caller, once known.
        model: id, once it has been found in the registry.
        items: of the request.
        tokens: computed for it.
        trace_id: of the trace it is part of, where it is traced.
        bytes_in: of the body as it was read.
        bytes_out: of the response's body.
        arrived: `time.perf_counter()`.
    """

    request_id: str
    method: str
    path: str
    rpc: str = ""
    status: int = 0
    reason: str = ""
    tenant: str = ""
    model: str = ""
    items: int = 0
    tokens: int = 0
    trace_id: str = ""
    bytes_in: int = 0
    bytes_out: int = 0
    arrived: float = field(default_factory=time.perf_counter)


class AccessLog:
    """Writes records.

    Args:
        enabled: False writes none.
    """

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled

    def write(self, record: Record) -> None:
        if not self._enabled or (record.path in _PROBES and record.status == 200):
            return
        fields = {
            "request_id": record.request_id,
            "method": record.method,
            "path": record.path[:_LONGEST_PATH],
            "rpc": record.rpc,
            "status": record.status,
            "reason": record.reason,
            "tenant": record.tenant,
            "model": record.model,
            "items": record.items,
            "tokens": record.tokens,
            "trace_id": record.trace_id,
            "ms": round((time.perf_counter() - record.arrived) * 1e3, 2),
            "bytes_in": record.bytes_in,
            "bytes_out": record.bytes_out,
        }
        told = {name: value for name, value in fields.items() if value != ""}
        log.info("request", extra={"fields": told})
