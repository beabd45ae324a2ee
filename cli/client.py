"""Calls to a gateway over gRPC, whose failures are sentences."""

import os
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self, cast

import grpc
from grpc_status import rpc_status

from cli.api_key import api_key
from cli.endpoint import Endpoint
from cli.errors import CommandError
from servicekit.errors import DOMAIN, SieError, code_of, from_status
from sie.inference.v1 import inference_service_pb2 as inference
from sie.inference.v1 import (
    inference_service_pb2_grpc,
    item_pb2,
    model_service_pb2_grpc,
)
from sie.inference.v1 import model_service_pb2 as models
from sie.operations.v1 import dead_letter_service_pb2 as letters
from sie.operations.v1.dead_letter_pb2 import DeadLetter, ReplayOutcome
from sie.operations.v1.dead_letter_service_pb2_grpc import DeadLetterServiceStub
from sie.pool.v1 import pool_pb2, pool_service_pb2_grpc
from sie.pool.v1 import pool_service_pb2 as pools

_TIMEOUT_S = 60.0
_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    # A gateway is addressed as it is, whatever proxy the shell names for the web.
    ("grpc.enable_http_proxy", 0),
]


def default_address() -> str:
    return f"127.0.0.1:{os.environ.get('SIE_GRPC_PORT', '9090')}"


class CallError(CommandError):
    """A call that was refused, or did not get through.

    Args:
        message: for a person.
        error: the typed error of the gateway, if it gave one.
        may_pass: whether the same call may succeed in a while.
    """

    def __init__(self, message: str, error: SieError | None, *, may_pass: bool) -> None:
        super().__init__(message)
        self.error = error
        self.may_pass = may_pass


class GatewayClient:
    """A connection to a gateway, under the token of SIE_API_KEY if there is one.

    Every call raises CommandError with the reason when the gateway refuses or is not there.

    Raises:
        CommandError: the address is none, or the certificate files cannot be used.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        token = api_key()
        self._metadata = [("authorization", f"Bearer {token}")] if token else []
        self._channel = _channel(endpoint)

    def encode(
        self, model: str, texts: Sequence[str], output: str | None = None, profile: str = ""
    ) -> inference.EncodeResponse:
        """Encodes texts to `output`, one of dense, sparse and multivector, or the model's first."""
        wanted = [f"OUTPUT_TYPE_{output.upper()}"] if output else []
        params = inference.EncodeParams(output_types=wanted, profile=profile)
        items = [item_pb2.Item(text=text) for text in texts]
        request = inference.EncodeRequest(model=model, items=items, params=params)
        stub = inference_service_pb2_grpc.InferenceServiceStub(self._channel)
        response: inference.EncodeResponse = self._call(stub.Encode, request)
        return response

    def score(
        self,
        model: str,
        query: str,
        documents: Sequence[str],
        instruction: str = "",
        profile: str = "",
    ) -> inference.ScoreResponse:
        """Ranks documents by their relevance to a query."""
        request = inference.ScoreRequest(
            model=model,
            query=item_pb2.Item(text=query),
            items=[item_pb2.Item(text=document) for document in documents],
            instruction=instruction,
            profile=profile,
        )
        stub = inference_service_pb2_grpc.InferenceServiceStub(self._channel)
        response: inference.ScoreResponse = self._call(stub.Score, request)
        return response

    def extract(
        self,
        model: str,
        texts: Sequence[str],
        labels: Sequence[str] = (),
        threshold: float | None = None,
        profile: str = "",
    ) -> inference.ExtractResponse:
        """Looks for labels, or for those that the model knows; None is the model's threshold."""
        params = inference.ExtractParams(labels=labels, threshold=threshold, profile=profile)
        items = [item_pb2.Item(text=text) for text in texts]
        request = inference.ExtractRequest(model=model, items=items, params=params)
        stub = inference_service_pb2_grpc.InferenceServiceStub(self._channel)
        response: inference.ExtractResponse = self._call(stub.Extract, request)
        return response

    def list_models(self) -> list[models.ModelInfo]:
        """Every model, over all pages."""
        stub = model_service_pb2_grpc.ModelServiceStub(self._channel)
        found: list[models.ModelInfo] = []
        token = ""
        while True:
            page = self._call(stub.ListModels, models.ListModelsRequest(page_token=token))
            found.extend(page.models)
            token = page.next_page_token
            if not token:
                return found

    def list_dead_letters(self, pool: str = "", model: str = "") -> list[DeadLetter]:
        """Letters without their work items, over all pages."""
        found: list[DeadLetter] = []
        request = letters.ListDeadLettersRequest(pool=pool, model_id=model)
        while True:
            page = self._call(self._letters.ListDeadLetters, request)
            found.extend(page.letters)
            request.page_token = page.next_page_token
            if not request.page_token:
                return found

    def get_dead_letter(self, letter_id: str) -> DeadLetter:
        """One letter with its work item."""
        request = letters.GetDeadLetterRequest(letter_id=letter_id)
        letter: DeadLetter = self._call(self._letters.GetDeadLetter, request).letter
        return letter

    def replay_dead_letter(self, letter_id: str) -> ReplayOutcome:
        """Waits for the outcome, at most for a minute."""
        request = letters.ReplayDeadLetterRequest(letter_id=letter_id)
        outcome: ReplayOutcome = self._call(self._letters.ReplayDeadLetter, request).outcome
        return outcome

    def purge_dead_letters(
        self, letter_ids: Sequence[str], pool: str = "", model: str = "", *, every: bool = False
    ) -> int:
        """Removes letters; returns how many there were."""
        request = letters.PurgeDeadLettersRequest(
            letter_ids=letter_ids, pool=pool, model_id=model, all=every
        )
        return int(self._call(self._letters.PurgeDeadLetters, request).purged)

    @property
    def _letters(self) -> Any:
        return DeadLetterServiceStub(self._channel)

    def list_pools(self) -> list[pool_pb2.Pool]:
        """Every pool, over all pages."""
        found: list[pool_pb2.Pool] = []
        token = ""
        while True:
            page = self._call(self._pools.ListPools, pools.ListPoolsRequest(page_token=token))
            found.extend(page.pools)
            token = page.next_page_token
            if not token:
                return found

    def create_pool(self, request: pools.CreatePoolRequest) -> pool_pb2.Pool:
        """Creates, renews or changes a pool."""
        return cast("pool_pb2.Pool", self._call(self._pools.CreatePool, request).pool)

    def get_pool(self, name: str) -> pool_pb2.Pool:
        request = pools.GetPoolRequest(name=name)
        return cast("pool_pb2.Pool", self._call(self._pools.GetPool, request).pool)

    def renew_pool(self, name: str) -> pool_pb2.Pool:
        request = pools.RenewPoolRequest(name=name)
        return cast("pool_pb2.Pool", self._call(self._pools.RenewPool, request).pool)

    def delete_pool(self, name: str) -> None:
        self._call(self._pools.DeletePool, pools.DeletePoolRequest(name=name))

    @property
    def _pools(self) -> pool_service_pb2_grpc.PoolServiceStub:
        return pool_service_pb2_grpc.PoolServiceStub(self._channel)

    def _call(self, method: Callable[..., Any], request: Any) -> Any:
        try:
            return method(request, timeout=_TIMEOUT_S, metadata=self._metadata)
        except grpc.RpcError as error:
            # Errors of a stub are always the call as well.
            call = cast("grpc.Call", error)
            typed = typed_error(call)
            is_away = call.code() is grpc.StatusCode.UNAVAILABLE
            may_pass = is_away if typed is None else bool(typed.retry_after_s)
            raise CallError(explain(call, self._endpoint), typed, may_pass=may_pass) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._channel.close()


def _channel(endpoint: Endpoint) -> grpc.Channel:
    if not endpoint.is_secure:
        return grpc.insecure_channel(endpoint.target, options=_OPTIONS)
    # What fails is told in our words, once.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    credentials = grpc.ssl_channel_credentials(*endpoint.tls.pem())
    return grpc.secure_channel(endpoint.target, credentials, options=_OPTIONS)


def typed_error(error: grpc.Call) -> SieError | None:
    """The gateway's own error behind a call, if it gave one."""
    status = rpc_status.from_call(error)
    if status is None or not any(DOMAIN.encode() in detail.value for detail in status.details):
        return None
    return from_status(status)


def explain(error: grpc.Call, endpoint: Endpoint) -> str:
    """What went wrong in a sentence, with the typed reason when the gateway gave one."""
    if (typed := typed_error(error)) is not None:
        advice = f" (try again in {typed.retry_after_s:g} s)" if typed.retry_after_s else ""
        return f"{typed.message} [{code_of(typed.reason)}]{advice}"
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        # gRPC tells of every layer that a failure went through; what happened comes last.
        details = (error.details() or "").removesuffix(": OK")
        problem = details.rpartition(": ")[2].rstrip("].")
        return f"no gateway answers at {endpoint.target}: {problem}\n{endpoint.advice(problem)}"
    return f"{error.details()} [{error.code().name}]"
