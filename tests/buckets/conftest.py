"""Buckets for every test here, one server of each kind for the whole run.

Without what requirements/buckets.txt brings nothing is collected; `make buckets` has it.
"""

import os
from importlib.util import find_spec

import fsspec
import pytest

collect_ignore_glob = ["test_*.py"] if find_spec("moto") is None else []


@pytest.fixture(scope="session", params=["gcs", "s3"])
def server(request):
    from tests.buckets import servers

    with getattr(servers, request.param)() as server:
        held = dict(os.environ)
        os.environ.update(server.env)
        yield server
        os.environ.clear()
        os.environ.update(held)


@pytest.fixture
def listing(server):
    """What is in the bucket at this moment."""

    def found():
        system, root = fsspec.core.url_to_fs(server.url)
        system.invalidate_cache()
        return sorted(path.removeprefix(f"{root}/") for path in system.find(root))

    return found


@pytest.fixture
def bucket(server, listing):
    """The URL of an empty bucket."""
    system, root = fsspec.core.url_to_fs(server.url)
    for path in listing():
        system.rm_file(f"{root}/{path}")
    return server.url
