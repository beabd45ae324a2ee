"""The HTTP API against its own description, by schemathesis."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cli.local_stack import DEFAULT_MODEL, LocalStack

PYTHON = Path(sys.prefix) / "clients/bin/python"
SCRIPT = Path(__file__).parents[1] / "clients/schema.py"
SEED, EXAMPLES = 11, 3

pytestmark = pytest.mark.skipif(
    not PYTHON.exists(), reason="`make clients` installs what these tests run"
)


@pytest.fixture(scope="module")
def result(tmp_path_factory, engine_cache):
    """Of a cluster of its own, since the API can change anything."""
    directory = tmp_path_factory.mktemp("schema")
    with LocalStack(directory, cache_dir=engine_cache) as stack:
        stack.start()
        url = f"http://{stack.http_address}"
        command = [PYTHON, SCRIPT, url, DEFAULT_MODEL, str(SEED), str(EXAMPLES)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_answer_is_described_and_none_is_a_failure_of_ours(result):
    assert result["failures"] == []


def test_enough_was_asked(result):
    assert result["operations"] > 40
    assert result["requests"] > result["operations"] * EXAMPLES
    assert result["statuses"].get("200", 0) > 20, result["statuses"]
    assert result["statuses"].get("400", 0) > 20, result["statuses"]
