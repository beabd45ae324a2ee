"""The routes of text-embeddings-inference, which name no model."""

import json

import numpy as np
import pytest

from cli.local_stack import DEFAULT_MODEL
from tests.asking import ENCODE, ask

TEXTS = ["The cat sat on the mat.", "Interest rates rose again."]


def post(stack, path, body, status=200):
    reply = ask(stack.http_address, "POST", path, body)
    assert reply.status == status, reply.body
    return reply.json()


def dense(stack, texts):
    items = post(stack, ENCODE, {"items": [{"text": text} for text in texts]})["items"]
    return np.array([item["dense"]["values"] for item in items])


def ids_of(stack, texts, **params):
    body = {"model": DEFAULT_MODEL, "items": [{"text": text} for text in texts], "params": params}
    return [item["token_ids"] for item in post(stack, "/v1/tokenize", body)["items"]]


@pytest.mark.parametrize("special", [True, False])
def test_token_ids_embed_as_their_text_does(stack, special):
    ids = ids_of(stack, TEXTS, add_special_tokens=special)
    expected = dense(stack, TEXTS)
    np.testing.assert_allclose(post(stack, "/embed", {"inputs": ids}), expected, atol=1e-6)
    (row,) = post(stack, "/embed", {"inputs": ids[0]})
    np.testing.assert_allclose(row, expected[0], atol=1e-6)
    mixed = post(stack, "/embed", {"inputs": [TEXTS[0], ids[1]]})
    np.testing.assert_allclose(mixed, expected, atol=1e-6)


def test_tokens_come_with_their_places(stack):
    (row,) = post(stack, "/tokenize", {"inputs": "Rates rose"})
    assert [(each["text"], each["special"]) for each in row] == [
        ("[CLS]", True),
        ("rates", False),
        ("rose", False),
        ("[SEP]", True),
    ]
    assert [(each["start"], each["stop"]) for each in row[1:3]] == [(0, 5), (6, 10)]
    assert row[0]["start"] is None
    bare = post(stack, "/tokenize", {"inputs": ["Rates rose"], "add_special_tokens": False})
    assert [[each["id"] for each in row[1:3]]] == [[each["id"] for each in row] for row in bare]


def test_tokens_are_read_back(stack):
    first, second = ids_of(stack, TEXTS)
    assert post(stack, "/decode", {"ids": first}) == ["the cat sat on the mat."]
    both = post(stack, "/decode", {"ids": [first, second], "skip_special_tokens": False})
    assert both[1] == "[CLS] interest rates rose again. [SEP]"


def test_similarity_is_the_cosine_of_the_vectors(stack):
    sentences = ["A cat was sitting on a rug.", TEXTS[1], ""]
    inputs = {"source_sentence": TEXTS[0], "sentences": sentences}
    found = post(stack, "/similarity", {"inputs": inputs, "parameters": {"truncate": True}})
    vectors = dense(stack, [TEXTS[0], *sentences])
    np.testing.assert_allclose(found, vectors[1:] @ vectors[0], atol=1e-5)


@pytest.mark.parametrize("direction", ["Right", "left"])
def test_long_texts_are_cut_at_the_end_that_is_named(stack, direction):
    long = " ".join(f"word{number}" for number in range(300))
    params = {"truncate": direction.lower()}
    body = {"items": [{"text": long}], "params": params}
    expected = post(stack, ENCODE, body)["items"][0]["dense"]["values"]
    (row,) = post(stack, "/embed", {"inputs": long, "truncation_direction": direction})
    np.testing.assert_allclose(row, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/embed", {"inputs": []}, "inputs"),
        ("/embed", {"inputs": ["a", []]}, "inputs[1]"),
        ("/embed", {"inputs": ["a", [1, "b"]]}, "inputs[1]"),
        ("/embed", {"inputs": {"a": 1}}, "inputs"),
        ("/embed", {}, "inputs"),
        ("/embed", {"inputs": [101, -1]}, "inputs[1]"),
        ("/embed", {"inputs": [101, 2**32]}, "inputs[1]"),
        ("/embed", {"inputs": [101, 99_999]}, "inputs[1]"),
        ("/embed", {"inputs": ["a", [101, 99_999]]}, "inputs[1][1]"),
        ("/embed", {"inputs": ["a", "b " * 300], "truncate": False}, "inputs[1]"),
        ("/embed", {"inputs": "b " * 300, "truncate": False}, "inputs"),
        ("/embed", {"inputs": "a", "truncation_direction": "up"}, "truncation_direction"),
        ("/embed", {"inputs": "a", "prompt_name": "other"}, "prompt_name"),
        ("/embed", {"inputs": "a", "dimensions": 9999}, "dimensions"),
        ("/similarity", {"inputs": {"source_sentence": "a"}}, "inputs.sentences"),
        ("/similarity", {"inputs": {"sentences": ["a"]}}, "inputs.source_sentence"),
        ("/decode", {"ids": ["a"]}, "ids[0]"),
        ("/decode", {"ids": [[101], [99_999]]}, "ids[1][0]"),
        ("/predict", {"inputs": ["a"]}, "inputs[0]"),
        ("/predict", {"inputs": [["a", "b"]]}, "inputs[0]"),
        ("/rerank", {"query": "a", "texts": []}, "texts"),
        ("/rerank", {"texts": ["a"]}, "query"),
        ("/rerank", {"query": "a", "texts": ["b", "b " * 300], "truncate": False}, "texts[1]"),
    ],
)
def test_bad_requests_name_the_field_that_was_sent(stack, path, body, field):
    error = post(stack, path, body, status=400)["error"]
    assert error["metadata"]["field"] == field
    assert field in error["message"]


def test_what_the_model_has_not_is_refused(stack):
    for path in ("/embed_sparse", "/embed_all"):
        error = post(stack, path, {"inputs": "a"}, status=400)["error"]
        assert (error["code"], error["metadata"]["field"]) == ("UNSUPPORTED_OUTPUT", "model")


def test_each_route_finds_the_model_that_answers(golden_stack):
    (row,) = post(golden_stack, "/embed_sparse", {"inputs": "water"})
    body = {"items": [{"text": "water"}]}
    sparse = post(golden_stack, "/v1/encode/golden/splade_bert", body)["items"][0]["sparse"]
    assert [entry["index"] for entry in row] == sparse["indices"]
    np.testing.assert_allclose([entry["value"] for entry in row], sparse["values"], atol=1e-5)

    (matrix,) = post(golden_stack, "/embed_all", {"inputs": ["water"]})
    vectors = post(golden_stack, "/v1/encode/golden/colbert", body)["items"][0]["multivector"]
    np.testing.assert_allclose(matrix, vectors["values"], atol=1e-6)

    ranks = post(golden_stack, "/rerank", {"query": "water", "texts": ["fire", "sea"]})
    assert [rank["score"] for rank in ranks] == sorted(
        (rank["score"] for rank in ranks), reverse=True
    )
    raw = post(golden_stack, "/rerank", {"query": "water", "texts": ["sea"], "raw_scores": True})
    (scaled,) = [rank["score"] for rank in ranks if rank["index"] == 1]
    assert scaled == pytest.approx((1 + raw[0]["score"]) / 2, abs=1e-5)


def test_classes_come_as_the_texts_went(golden_stack):
    single = post(golden_stack, "/predict", {"inputs": "water"})
    batch = post(golden_stack, "/predict", {"inputs": [["water"], ["fire"]]})
    assert batch[0] == single
    assert len(batch) == 2
    assert sum(each["score"] for each in single) == pytest.approx(1, abs=1e-3)

    raw = post(golden_stack, "/predict", {"inputs": "water", "raw_scores": True})
    assert [each["label"] for each in raw] == [each["label"] for each in single]
    powers = np.exp([each["score"] for each in raw])
    np.testing.assert_allclose(powers / powers.sum(), [each["score"] for each in single], atol=1e-5)
    assert abs(sum(each["score"] for each in raw) - 1) > 1e-3


def test_the_description_lists_the_routes(stack):
    described = json.loads(ask(stack.http_address, "GET", "/openapi.json").body)["paths"]
    for path in ("/embed", "/embed_all", "/embed_sparse", "/similarity", "/predict", "/decode"):
        schema = described[path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert schema["required"]


def test_a_length_that_nothing_is_known_of_is_refused_and_not_ignored(golden_stack):
    body = {"model": "golden/bert_cross_encoder", "query": "q", "documents": ["a"]}
    refused = post(golden_stack, "/v2/rerank", {**body, "max_tokens_per_doc": 16}, 400)
    assert refused["error"]["metadata"]["field"] == "max_tokens_per_doc"
    assert post(golden_stack, "/v2/rerank", body)["results"][0]["index"] == 0
