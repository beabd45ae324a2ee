"""Golden models through the real processes: the reference's scores by both protocols."""

import base64
import json

import numpy as np
import pytest

from sie.inference.v1.inference_service_pb2 import EncodeRequest, ScoreRequest
from sie.inference.v1.result_pb2 import ScoreKind
from tests.asking import ask
from tests.e2e.golden_models import GOLDEN

TOLERANCE = 1e-4


def inputs(name):
    return json.loads((GOLDEN / name / "inputs.json").read_bytes())


def reference(name):
    return np.load(GOLDEN / name / "reference.npz")


def score(stack, name, query, items, **more):
    """A ranking over HTTP, for a query and items that may be texts."""
    body = {"query": as_item(query), "items": [as_item(item) for item in items], **more}
    reply = ask(stack.http_address, "POST", f"/v1/score/golden/{name}", body, timeout=120)
    assert reply.status == 200, reply.body
    return reply


def as_item(given):
    return {"text": given} if isinstance(given, str) else given


def in_order(scores):
    """Scores by the position of their items in the request."""
    return [entry["score"] for entry in sorted(scores, key=lambda entry: entry.get("index", 0))]


@pytest.mark.parametrize(
    ("name", "array"),
    [("bert_cross_encoder", "cross_encoder_predict"), ("qwen3_reranker", "score")],
)
def test_rerankers_agree_with_the_reference(golden_stack, golden_stub, name, array):
    pairs = inputs(name)["pairs"]
    for (query, document), expected in zip(pairs, reference(name)[array], strict=True):
        reply = score(golden_stack, name, query, [document]).json()
        assert reply["kind"] == "probability"
        assert reply["scores"][0]["score"] == pytest.approx(expected, abs=TOLERANCE)
        request = ScoreRequest(
            model=f"golden/{name}", query={"text": query}, items=[{"text": document}]
        )
        response = golden_stub.Score(request)
        assert response.kind == ScoreKind.SCORE_KIND_PROBABILITY
        assert response.scores[0].score == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize("name", ["bert_cross_encoder", "bert_logits"])
def test_raw_scores_are_logits_also_where_the_model_gives_probabilities(golden_stack, name):
    """Both are one checkpoint, and only the second states that it has no activation."""
    query, document = inputs("bert_cross_encoder")["pairs"][0]
    logit = reference("bert_cross_encoder")["logits"][0, 0]
    # More items than a chunk has.
    reply = score(golden_stack, name, query, [document] * 40, raw_scores=True).json()
    assert reply["kind"] == "logit"
    scores = [entry["score"] for entry in reply["scores"]]
    np.testing.assert_allclose(scores, logit, atol=TOLERANCE)


def test_colbert_ranks_by_maxsim(golden_stack, golden_stub):
    given, expected = inputs("colbert"), reference("colbert")["maxsim"]
    for query, row in zip(given["queries"], expected, strict=True):
        reply = score(golden_stack, "colbert", query, given["documents"]).json()
        scores = [entry["score"] for entry in reply["scores"]]
        assert reply["kind"] == "maxsim"
        assert scores == sorted(scores, reverse=True)
        assert [entry["rank"] for entry in reply["scores"]] == list(range(len(row)))
        np.testing.assert_allclose(in_order(reply["scores"]), row, atol=TOLERANCE, rtol=0)
        request = ScoreRequest(
            model="golden/colbert",
            query={"text": query},
            items=[{"text": text} for text in given["documents"]],
        )
        by_grpc = [entry.score for entry in golden_stub.Score(request).scores]
        np.testing.assert_allclose(by_grpc, scores, atol=TOLERANCE, rtol=0)


def test_what_encode_gave_scores_as_the_text_it_came_from(golden_stack, golden_stub):
    given = inputs("colbert")
    request = EncodeRequest(
        model="golden/colbert", items=[{"text": text} for text in given["documents"]]
    )
    request.params.is_query = False
    encoded = golden_stub.Encode(request).items
    ranking = golden_stub.Score(
        ScoreRequest(
            model="golden/colbert",
            query={"text": given["queries"][2]},
            items=[{"multivector": each.multivector} for each in encoded],
        )
    )
    scores = [each.score for each in sorted(ranking.scores, key=lambda each: each.index)]
    expected = reference("colbert")["maxsim"][2]
    np.testing.assert_allclose(scores, expected, atol=TOLERANCE, rtol=0)


def test_over_http_too_what_encode_gave_can_be_scored(golden_stack):
    given = inputs("colbert")
    body = {"items": [as_item(text) for text in given["documents"]], "params": {"is_query": False}}
    reply = ask(golden_stack.http_address, "POST", "/v1/encode/golden/colbert", body)
    vectors = [{"multivector": item["multivector"]} for item in reply.json()["items"]]
    ranking = score(golden_stack, "colbert", given["queries"][2], vectors).json()
    expected = reference("colbert")["maxsim"][2]
    np.testing.assert_allclose(in_order(ranking["scores"]), expected, atol=TOLERANCE, rtol=0)


def image(name):
    content = (GOLDEN / "clip" / name).read_bytes()
    return {"images": [{"data": base64.b64encode(content).decode()}]}


def test_texts_and_images_are_encoded_into_one_space(golden_stack, golden_stub):
    given, arrays = inputs("clip"), reference("clip")
    items = [{"text": given["texts"][3]}, *map(image, given["images"])]
    expected = [arrays["text_embeds"][3], *arrays["image_embeds"]]
    reply = ask(golden_stack.http_address, "POST", "/v1/encode/golden/clip", {"items": items})
    found = [item["dense"]["values"] for item in reply.json()["items"]]
    np.testing.assert_allclose(found, expected, atol=TOLERANCE, rtol=0)
    contents = [(GOLDEN / "clip" / name).read_bytes() for name in given["images"]]
    pictures = [{"images": [{"data": content}]} for content in contents]
    response = golden_stub.Encode(EncodeRequest(model="golden/clip", items=pictures))
    by_grpc = [item.dense.values for item in response.items]
    np.testing.assert_allclose(by_grpc, expected[1:], atol=TOLERANCE, rtol=0)


def test_a_text_ranks_images(golden_stack):
    given, arrays = inputs("clip"), reference("clip")
    items = list(map(image, given["images"]))
    reply = score(golden_stack, "clip", given["texts"][3], items).json()
    expected = arrays["image_embeds_normalized"] @ arrays["text_embeds_normalized"][3]
    assert reply["kind"] == "cosine"
    np.testing.assert_allclose(in_order(reply["scores"]), expected, atol=TOLERANCE, rtol=0)


def test_an_item_that_is_no_image_comes_last_and_alone_fails(golden_stack):
    bad = {"id": "bad", "images": [{"data": "aGk="}]}
    items = [bad, {"id": "good", **image(inputs("clip")["images"][0])}]
    first, last = score(golden_stack, "clip", "a picture", items).json()["scores"]
    assert (first["item_id"], first["index"], first["rank"]) == ("good", 1, 0)
    assert (last["item_id"], last["rank"]) == ("bad", 1)
    assert last["error"]["metadata"]["field"] == "items[0].images[0]"


def test_a_thousand_documents_spread_over_both_workers_and_are_ranked_as_one(golden_stack):
    pairs = inputs("bert_cross_encoder")["pairs"]
    documents = [pairs[n % len(pairs)][1] for n in range(1000)]
    query = {"id": "q-1", "text": pairs[3][0]}
    reply = score(golden_stack, "bert_cross_encoder", query, documents)
    ranking = reply.json()
    assert ranking["query_id"] == "q-1"
    assert sorted(entry["index"] for entry in ranking["scores"]) == list(range(1000))
    order = [(-entry["score"], entry["index"]) for entry in ranking["scores"]]
    assert order == sorted(order)
    assert all(entry["item_id"] == f"item-{entry['index']}" for entry in ranking["scores"])
    expected = reference("bert_cross_encoder")["cross_encoder_predict"][3]
    assert in_order(ranking["scores"])[3] == pytest.approx(expected, abs=TOLERANCE)
    # Who takes how much is decided by who is free, so one alone may be quick enough now and then.
    took_part = set(reply.headers["x-sie-worker"].split(","))
    for _ in range(20):
        if len(took_part) > 1:
            break
        again = score(golden_stack, "bert_cross_encoder", query, documents)
        took_part |= set(again.headers["x-sie-worker"].split(","))
    assert took_part == {"worker-1", "worker-2"}


def test_models_tell_which_verbs_answer_for_them(golden_stack):
    models = ask(golden_stack.http_address, "GET", "/v1/models").json()["models"]
    tasks = {model["name"]: model.get("tasks") for model in models}
    assert tasks == {
        "golden/bert_classes": ["extract"],
        "golden/bert_cross_encoder": ["score"],
        "golden/bert_logits": ["score"],
        "golden/bert_ner": ["extract"],
        "golden/bert_nli": ["extract"],
        "golden/clip": ["encode", "score"],
        "golden/colbert": ["encode", "score"],
        "golden/gliner": ["extract"],
        "golden/qwen3_reranker": ["score"],
        "golden/splade_bert": ["encode"],
    }
