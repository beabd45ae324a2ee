"""A real broker for all tests of a file."""

import pytest

from tests import broker


@pytest.fixture(scope="module")
def nats_url(tmp_path_factory):
    with broker.running(tmp_path_factory.mktemp("broker")) as url:
        yield url
