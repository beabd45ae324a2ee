"""Clusters of real processes for all tests that do no harm to them."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from cli.local_stack import LocalStack
from sie.inference.v1.inference_service_pb2_grpc import InferenceServiceStub
from tests.e2e.golden_models import DEFAULT_MODELS, MODELS, write_definitions


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, engine_cache: Path) -> Iterator[LocalStack]:
    """A cluster with two workers. Tests may load it, and must not stop parts of it."""
    with LocalStack(tmp_path_factory.mktemp("stack"), cache_dir=engine_cache) as stack:
        stack.start(workers=2)
        yield stack


@pytest.fixture(scope="session")
def golden_stack(
    tmp_path_factory: pytest.TempPathFactory, engine_cache: Path
) -> Iterator[LocalStack]:
    """As `stack`, with small models of many kinds."""
    directory = tmp_path_factory.mktemp("golden")
    env = {
        "SIE_MODELS_DIR": str(write_definitions(directory / "models")),
        "SIE_PRELOAD_MODELS": ",".join(MODELS),
        "SIE_DEFAULT_MODEL": ",".join(DEFAULT_MODELS),
    }
    with LocalStack(directory / "stack", cache_dir=engine_cache, env=env) as stack:
        stack.start(workers=2)
        yield stack


@pytest.fixture(scope="session")
def golden_stub(golden_stack: LocalStack) -> Iterator[InferenceServiceStub]:
    with grpc.insecure_channel(golden_stack.grpc_address) as channel:
        yield InferenceServiceStub(channel)


@pytest.fixture(scope="session")
def channel(stack: LocalStack) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(
        stack.grpc_address, options=[("grpc.max_receive_message_length", -1)]
    ) as channel:
        yield channel


@pytest.fixture(scope="session")
def stub(channel: grpc.Channel) -> InferenceServiceStub:
    return InferenceServiceStub(channel)


@pytest.fixture
def fresh_stack(tmp_path: Path, engine_cache: Path) -> Iterator[LocalStack]:
    """A cluster to do harm to, with nothing started yet."""
    with LocalStack(tmp_path / "stack", cache_dir=engine_cache) as stack:
        yield stack
