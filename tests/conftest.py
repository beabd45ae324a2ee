import functools
import gc
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from cli.local_stack import LocalStack

# What is made until all tests are collected stays.
gc.disable()
# As in the services: numpy's threads would only take the cores of others.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Nothing is timed on machines that do other things beside.
settings.register_profile("untimed", deadline=None, max_examples=50)
settings.load_profile("untimed")


# Of tests/e2e/conftest.py: clusters for all tests that do no harm to them. One that uses both is
# with those of many models, which take longest to start.
_SHARED_CLUSTERS = {
    "many models": re.compile(r"\bgolden_(stack|stub)\b"),
    "two workers": re.compile(
        r"(def test_\w+|pytest\.fixture.*\ndef \w+)\([^)]*\b(stack|stub|channel)\b"
    ),
}


class FileScheduling(LoadScopeScheduling):
    """Deals a file to one process, and all that use one cluster to the same one.

    A cluster would be started in each of them.
    """

    @functools.cache  # noqa: B019 - there is one, for all of the run
    def _scope_of(self, path: str) -> str:
        text = (self.config.rootpath / path).read_text()
        uses = (name for name, used in _SHARED_CLUSTERS.items() if used.search(text))
        return next(uses, path) if path.startswith("tests/e2e/") else path

    def _split_scope(self, nodeid: str) -> str:
        return self._scope_of(nodeid.partition("::")[0])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """What pytest-xdist asks for."""
    return FileScheduling(config, log)


def pytest_collection_finish() -> None:
    """Takes what has been imported by now, which stays, out of every collection of garbage."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def engine_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled and measured once for every cluster of the run, whichever process starts it."""
    own = tmp_path_factory.getbasetemp()
    # pytest-xdist gives each of its processes a folder in that of the run.
    return (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "engines"


@pytest.fixture
def local_stack(tmp_path: Path) -> Iterator[LocalStack]:
    """A stack on free ports with nothing started yet; what a test starts, this stops."""
    with LocalStack(tmp_path / "stack") as stack:
        yield stack


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """An authority, a server for localhost and a client, as openssl makes them."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    # From Python 3.13 on, certificates are checked strictly, by RFC 5280.
    usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    files = ("-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", "-x509", *new_key, *files, "-subj", "/CN=ca", *usage)
    (folder / "san").write_text(
        "subjectAltName=DNS:localhost,IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n"
    )
    for name in ("server", "client"):
        request = f"{name}.csr"
        openssl("req", *new_key, "-keyout", f"{name}.key", "-out", request, "-subj", f"/CN={name}")
        signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "san")
        openssl("x509", "-req", "-in", request, "-out", f"{name}.pem", *signing)
    return folder
