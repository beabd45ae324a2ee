"""The published clients of Cohere and Hugging Face against a cluster."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cli.local_stack import DEFAULT_MODEL
from tests.asking import ENCODE, ask

PYTHON = Path(sys.prefix) / "clients/bin/python"
SCRIPT = Path(__file__).parents[1] / "clients/hosted.py"

pytestmark = pytest.mark.skipif(
    not PYTHON.exists(), reason="`make clients` installs what these tests run"
)

QUERY = "Where did the cat sit?"
DOCUMENTS = ["Interest rates rose again.", "The cat sat on the mat."]


@pytest.fixture(scope="module")
def results(stack):
    command = [PYTHON, SCRIPT, stack.http_address, DEFAULT_MODEL]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def vectors(stack):
    body = {"items": [{"text": text} for text in [QUERY, *DOCUMENTS]]}
    items = ask(stack.http_address, "POST", ENCODE, body).json()["items"]
    return np.array([item["dense"]["values"] for item in items])


@pytest.mark.parametrize("name", ["rerank 1", "rerank 2"])
def test_cohere_ranks(results, vectors, name):
    reply = results[name]
    (best,) = reply["results"]
    assert best["index"] == 1
    cosine = vectors[2] @ vectors[0]
    assert best["relevance_score"] == pytest.approx((1 + cosine) / 2, abs=1e-5)
    assert reply["meta"]["billed_units"]["search_units"] == 1
    assert reply["id"]


def test_cohere_is_given_the_document_that_it_asks_for(results):
    assert results["rerank 1"]["results"][0]["document"]["text"] == DOCUMENTS[1]


def test_cohere_has_an_exception_for_a_missing_model(results):
    assert results["no model"]["error"]["code"] == "MODEL_NOT_FOUND"


def test_hugging_face_embeds(results, vectors):
    np.testing.assert_allclose(results["vectors"], vectors[1:], atol=1e-5)


def test_hugging_face_compares(results, vectors):
    np.testing.assert_allclose(results["cosines"], vectors[1:] @ vectors[0], atol=1e-5)
