"""Large bodies do not hold up the event loop."""

import asyncio
import threading

import orjson
import pytest
from google.protobuf import json_format

from gateway.large_bodies import INLINE_BYTES, beside_the_loop
from gateway.transcoder.json_in import reader
from gateway.transcoder.json_out import ResponseWriter
from gateway.transcoder.reading import FieldError
from gateway.transcoder.well_known import MOST_VALUES
from gateway.verbs import tokenize
from servicekit.errors import SieError, invalid
from sie.compat.v1.tei_text_service_pb2 import TokenizeTextsResponse
from sie.inference.v1.inference_service_pb2 import TokenizeRequest, TokenizeResponse
from sie.inference.v1.item_pb2 import Item
from sie.registry.v1.model_pb2 import Model

LIMIT_S = 30


async def test_a_small_body_is_done_with_at_once():
    assert await beside_the_loop(INLINE_BYTES, threading.get_ident) == threading.get_ident()


async def test_the_loop_goes_on_beside_a_large_one():
    turned = threading.Event()
    asyncio.get_running_loop().call_soon(turned.set)
    assert await beside_the_loop(INLINE_BYTES + 1, turned.wait, LIMIT_S)


async def test_what_is_wrong_with_a_large_one_is_raised():
    def refuse(field, *, problem):
        raise invalid(field, problem)

    with pytest.raises(SieError, match="too large"):
        await beside_the_loop(INLINE_BYTES + 1, refuse, "items", problem="too large")


@pytest.mark.parametrize(
    ("cls", "body", "field"),
    [
        (TokenizeResponse, {"model": "m", "items": [{"id": "a"}, {"tokens": [{"id": 7}]}]}, ""),
        (TokenizeResponse, {}, ""),
        (TokenizeTextsResponse, {"texts": [{"tokens": [{"id": 7}, {"end": 2}]}, {}]}, "texts"),
        (TokenizeTextsResponse, {}, "texts"),
    ],
)
def test_parts_of_a_reply_are_written_as_the_whole(cls, body, field):
    writer = ResponseWriter(cls, field)
    data = json_format.ParseDict(body, cls()).SerializeToString()
    assert orjson.loads(writer.write(data)) == orjson.loads(orjson.dumps(writer.render(data)))


@pytest.mark.parametrize(
    "value",
    [
        [0] * MOST_VALUES,
        [[]] * MOST_VALUES,
        {str(number): None for number in range(MOST_VALUES)},
        [[0] * 10] * (MOST_VALUES // 10),
    ],
)
def test_metadata_of_too_many_values_is_refused(value):
    with pytest.raises(FieldError, match=f"more than {MOST_VALUES}") as caught:
        reader(Item.DESCRIPTOR)(Item(), {"metadata": {"a": value}})
    assert caught.value.path.startswith("metadata.a")


def test_as_many_as_are_allowed_are_taken():
    item = Item()
    reader(Item.DESCRIPTOR)(item, {"metadata": {"a": [0] * (MOST_VALUES - 1)}})
    assert len(item.metadata.fields["a"].list_value.values) == MOST_VALUES - 1


@pytest.mark.parametrize("wrong", [0, 16_383, 16_384, 40_000])
def test_a_wrong_number_in_a_long_list_is_named(wrong):
    ids = list(range(50_000))
    item = Item()
    reader(Item.DESCRIPTOR)(item, {"token_ids": ids})
    assert list(item.token_ids) == ids
    ids[wrong] = -1
    with pytest.raises(FieldError, match="out of range") as caught:
        reader(Item.DESCRIPTOR)(Item(), {"token_ids": ids})
    assert caught.value.path == f"token_ids[{wrong}]"


@pytest.mark.parametrize("details", [False, True])
def test_tokenize_takes_so_much_in_all(details):
    most = tokenize.MAX_DETAILED_CHARACTERS if details else tokenize.MAX_REQUEST_CHARACTERS
    each, count = most // 4, 4
    request = TokenizeRequest(
        items=[Item(text="x" * each), *[Item(token_ids=[7] * each)] * (count - 1)]
    )
    request.params.details = details
    tokenize.check(request, Model(model_id="m"), max_items=9)
    request.items.add(text="x")
    with pytest.raises(SieError, match=f"at most {most} .* got {most + 1}") as caught:
        tokenize.check(request, Model(model_id="m"), max_items=9)
    assert caught.value.metadata["field"] == "items"
