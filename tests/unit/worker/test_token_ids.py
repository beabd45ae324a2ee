"""Token ids stand for the texts they were made of, and Tokenize makes them and reads them."""

import numpy as np
import pytest
from google.protobuf import json_format

from servicekit.errors import SieError
from sie.inference.v1.inference_service_pb2 import EncodeResponse, TokenizeResponse
from sie.inference.v1.item_pb2 import Item
from sie.registry.v1.model_pb2 import Model
from sie.work.v1.work_item_pb2 import WorkItem
from tests.unit.worker.goldens import COLBERT, TEXTS
from worker.batching.packing import pack_texts
from worker.hosting.loading import load
from worker.texts.text_slices import is_long
from worker.texts.token_ids import array_of, put_ids, read_ids
from worker.verbs.encode import EncodeJob
from worker.verbs.tokenize import TokenizeJob

NAMES = ["bert_mean", "bert_xlmr_tokenizer", "bge_m3"]
GOLDENS = {golden.name: golden for golden in [*TEXTS, COLBERT]}
MODEL = Model(model_id="m")
TEXT = "Café naïve, tokenisation: 東京 and the rest"


class FakeDelivery:
    max_fragment_bytes = 10_000_000

    def __init__(self, verb, items, **params):
        self.item = json_format.ParseDict({verb: {"items": items, "params": params}}, WorkItem())
        self.fragments = None
        self.error = None

    async def reply(self, _verb, fragments):
        self.fragments = fragments

    async def fail(self, error):
        self.error = error


@pytest.fixture(scope="module", params=[*NAMES, COLBERT.name])
def loaded(request, tmp_path_factory):
    directory = GOLDENS[request.param].directory
    return load(directory, tmp_path_factory.mktemp("cache"), cores=1)


async def tokenized(loaded, items, **params):
    job = TokenizeJob(FakeDelivery("tokenize", items, **params), MODEL, loaded)
    assert job.prepare() == []
    assert job.done
    await job.finish()
    assert job.delivery.error is None, job.delivery.error
    return TokenizeResponse.FromString(b"".join(job.delivery.fragments)).items


def prepared(loaded, item, **params):
    job = EncodeJob(FakeDelivery("encode", [item], **params), MODEL, loaded)
    [(_, given)] = job.prepare()
    return given


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize("is_query", [True, False])
async def test_ids_are_read_as_their_text_is(loaded, special, is_query):
    [result] = await tokenized(loaded, [{"text": TEXT}], add_special_tokens=special)
    assert result.text == TEXT
    ids = {"token_ids": list(result.token_ids)}
    of_ids = prepared(loaded, ids, is_query=is_query)
    of_text = prepared(loaded, {"text": TEXT}, is_query=is_query)
    assert of_ids.ids.tolist() == of_text.ids.tolist()
    assert (of_ids.truncated, of_ids.unattended) == (False, of_text.unattended)
    if of_text.kept is not None:
        assert of_ids.kept.tolist() == of_text.kept.tolist()


@pytest.mark.parametrize("truncate", ["TRUNCATE_RIGHT", "TRUNCATE_LEFT"])
async def test_long_ids_are_cut_as_their_text_is(loaded, truncate):
    text = " ".join(f"word{number}" for number in range(600))
    [result] = await tokenized(loaded, [{"text": text}])
    of_ids = prepared(loaded, {"token_ids": list(result.token_ids)}, truncate=truncate)
    of_text = prepared(loaded, {"text": text}, truncate=truncate)
    assert of_ids.ids.tolist() == of_text.ids.tolist()
    assert of_ids.truncated


async def test_ids_that_may_not_be_cut_fail_by_their_own_name(loaded):
    item = {"token_ids": [int(loaded.tokenizer.whole.encode(["word"])[0].ids[0])] * 9000}
    job = EncodeJob(FakeDelivery("encode", [item], truncate="TRUNCATE_NONE"), MODEL, loaded)
    assert job.prepare() == []
    await job.finish()
    assert job.delivery.error.metadata["field"] == "items[0].token_ids"


async def test_an_instruction_stands_before_the_ids(loaded):
    whole = loaded.tokenizer.whole
    [result] = await tokenized(loaded, [{"text": "the rest"}])
    given = prepared(loaded, {"token_ids": list(result.token_ids)}, instruction="find: ")
    prompt = whole.encode(["find: "])[0].ids.tolist()
    ids = given.ids.tolist()
    rest = whole.bare(np.array(result.token_ids, dtype=np.int32)).tolist()
    assert str(prompt + rest)[1:-1] in str(ids)


@pytest.mark.parametrize("unknown", [10_000_000, 2**32 - 1])
def test_foreign_ids_are_refused_by_place(loaded, unknown):
    with pytest.raises(SieError) as caught:
        read_ids(loaded.tokenizer.whole, Item(token_ids=[1, unknown, 2]), "items[3]")
    assert caught.value.metadata["field"] == "items[3].token_ids[1]"


async def test_the_others_keep_their_results(loaded):
    items = [{"id": "a", "token_ids": [10_000_000]}, {"id": "b", "text": "the rest"}]
    job = EncodeJob(FakeDelivery("encode", items), MODEL, loaded)
    [(index, given)] = job.prepare()
    outputs = loaded.engine.run(pack_texts([given]), sorted(job.outputs))
    job.put(index, outputs, 0)
    await job.finish()
    bad, good = EncodeResponse.FromString(b"".join(job.delivery.fragments)).items
    assert (bad.id, bad.error.metadata["field"]) == ("a", "items[0].token_ids[0]")
    assert good.id == "b"
    assert not good.HasField("error")


async def test_details_say_where_each_token_stands(loaded):
    [result] = await tokenized(loaded, [{"text": TEXT}], details=True)
    assert [token.id for token in result.tokens] == list(result.token_ids)
    special = [token for token in result.tokens if token.special]
    assert special
    assert not any(token.HasField("start") for token in special)
    inner = [token for token in result.tokens if not token.special]
    spans = [TEXT[token.start : token.end] for token in inner]
    assert "".join(spans).replace(" ", "") == TEXT.replace(" ", "")


@pytest.mark.parametrize("special", [True, False])
async def test_a_long_text_is_tokenized_as_in_one_piece(loaded, special):
    text = " ".join([TEXT, "[SEP]", "x" * 200] * 270)
    params = {"add_special_tokens": special}
    [alone] = await tokenized(loaded, [{"id": "a", "text": text}], **params)
    short, among = await tokenized(loaded, [{"text": TEXT}, {"id": "a", "text": text}], **params)
    [expected] = loaded.tokenizer.whole.encodings([text], special=special)
    assert is_long(text)
    assert list(alone.token_ids) == expected.ids
    assert alone == among
    assert (alone.id, alone.text, short.text) == ("a", text, TEXT)
    [detailed] = await tokenized(loaded, [{"text": text}], details=True, **params)
    assert [token.id for token in detailed.tokens] == list(alone.token_ids)


@pytest.mark.parametrize("count", [0, 1, 1 << 14, (1 << 14) + 1, 40_000])
def test_ids_of_a_field_are_those_put_into_it(count):
    ids = np.random.default_rng(count).integers(0, 2**31, count).astype(np.int32)
    item = Item()
    put_ids(item.token_ids, ids)
    assert item == Item(token_ids=ids.tolist())
    assert array_of(item.token_ids).tolist() == ids.tolist()


async def test_details_of_too_many_tokens_are_refused_by_place(loaded):
    many = {"text": "a " * 100_001}
    items = [many, {"token_ids": [7] * 100_001}, {"text": "b"}]
    texts, ids, last = await tokenized(loaded, items, details=True)
    assert texts.error.metadata["field"] == "items[0]"
    assert ids.error.metadata["field"] == "items[1]"
    assert len(last.tokens) == len(last.token_ids)


async def test_ids_become_text_again(loaded):
    [made] = await tokenized(loaded, [{"text": "the rest"}])
    ids = list(made.token_ids)
    given = [{"token_ids": ids}]
    [skipped] = await tokenized(loaded, given)
    [kept] = await tokenized(loaded, given, skip_special_tokens=False, details=True)
    assert skipped.text.split() == ["the", "rest"]
    assert kept.text != skipped.text
    assert list(kept.token_ids) == ids
    assert [token.special for token in kept.tokens].count(True) == len(ids) - len(
        loaded.tokenizer.whole.bare(np.array(ids, dtype=np.int32))
    )


async def test_a_reply_that_no_message_carries_is_an_error(loaded):
    job = TokenizeJob(FakeDelivery("tokenize", [{"text": "a " * 60_000}]), MODEL, loaded)
    job.delivery.max_fragment_bytes = 100_000
    job.prepare()
    await job.finish()
    assert "larger than" in job.delivery.error.message
