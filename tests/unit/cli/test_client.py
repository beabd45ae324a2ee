"""The commands against a real gRPC server in this process."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import grpc
import pytest
from click.testing import CliRunner
from grpc_status import rpc_status

from cli.__main__ import main
from cli.ports import free_port
from servicekit.errors import SieError, status_of
from sie.batch.v1 import batch_pb2, batch_service_pb2_grpc
from sie.batch.v1 import batch_service_pb2 as batches
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.inference.v1 import inference_service_pb2 as inference
from sie.inference.v1 import inference_service_pb2_grpc, model_service_pb2_grpc, result_pb2
from sie.inference.v1 import model_service_pb2 as models


class Inference(inference_service_pb2_grpc.InferenceServiceServicer):
    """Knows one model, whose vectors are (length of the text, 1)."""

    def Encode(self, request: inference.EncodeRequest, context: Any) -> inference.EncodeResponse:
        if request.model != "known":
            error = SieError(
                ErrorReason.ERROR_REASON_MODEL_NOT_FOUND, f"no model {request.model}", model="m"
            )
            context.abort_with_status(rpc_status.to_status(status_of(error)))
        results = [result_pb2.EncodeResult(input_tokens=3) for _ in request.items]
        for item, result in zip(request.items, results, strict=True):
            result.dense.dims = 2
            result.dense.values.extend([len(item.text), 1.0])
        return inference.EncodeResponse(model=request.model, items=results)

    def Score(self, request: inference.ScoreRequest, _context: Any) -> inference.ScoreResponse:
        scores = [
            result_pb2.ScoreEntry(index=index, rank=rank, score=-rank)
            for rank, index in enumerate(reversed(range(len(request.items))))
        ]
        return inference.ScoreResponse(scores=scores, kind=result_pb2.SCORE_KIND_LOGIT)


class Batches(batch_service_pb2_grpc.BatchServiceServicer):
    """Is away at first, and then has a batch that is completed."""

    def __init__(self) -> None:
        self.asked = 0

    def GetBatch(self, request: batches.GetBatchRequest, context: Any) -> batches.GetBatchResponse:
        self.asked += 1
        if self.asked == 1:
            context.abort(grpc.StatusCode.UNAVAILABLE, "going away")
        status = batch_pb2.BATCH_STATUS_COMPLETED
        return batches.GetBatchResponse(batch=batch_pb2.Batch(id=request.batch_id, status=status))


class Models(model_service_pb2_grpc.ModelServiceServicer):
    """Gives two models on two pages."""

    def ListModels(self, request: models.ListModelsRequest, _context: Any) -> Any:
        if not request.page_token:
            first = models.ModelInfo(name="a")
            return models.ListModelsResponse(models=[first], next_page_token="2")
        return models.ListModelsResponse(models=[models.ModelInfo(name="b")])


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    inference_service_pb2_grpc.add_InferenceServiceServicer_to_server(Inference(), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(Models(), server)
    batch_service_pb2_grpc.add_BatchServiceServicer_to_server(Batches(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


@pytest.fixture
def sealed(certificates: Path) -> Iterator[str]:
    """The same under TLS, for callers with a certificate."""
    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(Models(), server)
    key, certificate, authority = (
        (certificates / name).read_bytes() for name in ("server.key", "server.pem", "ca.pem")
    )
    credentials = grpc.ssl_server_credentials(
        [(key, certificate)], authority, require_client_auth=True
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def run(*arguments: str) -> Any:
    return CliRunner().invoke(main, arguments)


def test_encode_prints_vectors_and_similarities(address: str) -> None:
    result = run("encode", "known", "abc", "abcd", "--address", address)
    assert result.exit_code == 0, result.output
    assert "[3.0000, 1.0000]  (3 tokens)" in result.output
    assert "cosine similarity" in result.output


def test_encode_prints_json(address: str) -> None:
    result = run("encode", "known", "abc", "--json", "--address", address)
    assert json.loads(result.output)["items"][0]["dense"]["values"] == [3.0, 1.0]


def test_score_prints_the_documents_in_their_order_of_relevance(address: str) -> None:
    result = run("score", "known", "a query", "first", "second", "--address", address)
    assert result.exit_code == 0, result.output
    assert [line.split()[-1] for line in result.output.splitlines()] == [
        "DOCUMENT",
        "second",
        "first",
    ]


def test_score_prints_json(address: str) -> None:
    result = run("score", "known", "a query", "first", "--json", "--address", address)
    assert json.loads(result.output)["kind"] == "logit"


def test_a_typed_error_is_a_sentence_with_its_reason(address: str) -> None:
    result = run("encode", "unknown", "abc", "--address", address)
    assert result.exit_code == 1
    assert result.output == "Error: no model unknown [MODEL_NOT_FOUND]\n"


def test_no_gateway_is_a_sentence() -> None:
    result = run("models", "--address", f"127.0.0.1:{free_port()}")
    assert result.exit_code == 1
    assert re.match(
        r"Error: no gateway answers at 127.0.0.1:\d+: Connection refused\n", result.output
    )
    assert "sie up" in result.output


@pytest.mark.parametrize(
    "address", ["http://localhost:8080", "localhost", "localhost:http", "", "grpcs://localhost:1/x"]
)
def test_what_is_no_address_is_said_to_be_none(address: str) -> None:
    result = run("models", f"--address={address}")
    assert result.exit_code == 1
    assert f"{address!r} is no address" in result.output


@pytest.mark.parametrize(
    "call",
    [
        ("pools", "create", "tenant", "l4=1"),
        ("pools", "show", "tenant"),
        ("batch", "list"),
        ("batch", "wait", "b"),
        ("dlq", "replay", "1"),
        ("registry", "history"),
    ],
)
def test_the_address_stands_before_or_after_a_subcommand_and_the_later_one_wins(
    call: tuple[str, ...],
) -> None:
    group, *rest = call
    for asked in (
        run(group, "--address", "before", *rest),
        run(*call, "--address", "before"),
        run(group, "--address", "first", *rest, "--address", "before"),
    ):
        assert asked.output.startswith("Error: 'before' is no address")


def test_every_subcommand_takes_the_address_and_has_a_group_that_does() -> None:
    for name in ("batch", "dlq", "pools", "registry"):
        group: click.Group = import_module(f"cli.commands.{name}").command
        for command in (group, *group.commands.values()):
            assert "address" in {param.name for param in command.params}, (name, command.name)


def test_certificates_are_given_as_options_or_variables(
    sealed: str, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca_file, certificate, key = (
        str(certificates / name) for name in ("ca.pem", "client.pem", "client.key")
    )
    ours = ("--certificate", certificate, "--private-key", key)
    asked = run("models", "--json", "--address", sealed, "--ca-file", ca_file, *ours)
    assert asked.exit_code == 0, asked.output
    monkeypatch.setenv("SIE_CA_FILE", ca_file)
    assert run("models", "--address", sealed, *ours).exit_code == 0
    # Before the subcommand they are its group's, and what the server lacks is its own to say.
    assert "UNIMPLEMENTED" in run("pools", *ours, "show", "x", "--address", sealed).output
    assert "--certificate" in run("models", "--address", sealed).output
    swapped = run("models", "--address", sealed, "--certificate", key)
    assert "certificate files cannot be used" in swapped.output


def test_a_gateway_without_the_expected_certificate_is_told_of(
    sealed: str, certificates: Path
) -> None:
    stranger = run("models", "--address", sealed, "--ca-file", str(certificates / "client.pem"))
    assert re.match(r"Error: no gateway answers at [\d.:]+: unable to get", stranger.output)
    assert "--ca-file" in stranger.output
    assert "--ca-file" in run("models", "--address", sealed).output


def test_who_waits_for_a_batch_waits_for_its_gateway(address: str) -> None:
    result = run("batch", "wait", "b-1", "--address", address)
    assert result.exit_code == 0, result.output
    assert re.search(r"^b-1 +completed ", result.output, re.MULTILINE)


def test_models_are_read_over_all_pages(address: str) -> None:
    result = run("models", "--json", "--address", address)
    assert [model["name"] for model in json.loads(result.output)["models"]] == ["a", "b"]


def test_version_and_help_name_every_command() -> None:
    assert run("version").output.startswith("sie ")
    for name in ("up", "encode", "score", "models", "status", "version"):
        assert f"  {name} " in run("--help").output
