"""What cannot be run is refused before anything of it is computed."""

import json

import pytest

from tests.unit.gateway.batches.running import ENCODE, ENDED, request

BAD_INPUTS = {
    "no JSON": ("{", "line"),
    "no object": ("[]", "line"),
    "no id": ({"method": "POST", "url": ENCODE, "body": {}}, "custom_id"),
    "number for an id": (request(0) | {"custom_id": 7}, "custom_id"),
    "long id": (request(0) | {"custom_id": "x" * 513}, "custom_id"),
    "other method": (request(0) | {"method": "GET"}, "method"),
    "other url": (request(0) | {"url": "/v1/score/org/model"}, "url"),
    "url beside": (request(0) | {"url": ENCODE + "2"}, "url"),
    "no body": (request(0) | {"body": "x"}, "body"),
    "unknown field": (request(0) | {"boddy": {}}, "boddy"),
    "same id": (request(9), "custom_id"),
    "long line": (request(0, items=[{"text": "x" * 20_000}]), ""),
}


@pytest.mark.parametrize("case", BAD_INPUTS)
async def test_an_input_that_cannot_be_used_fails_by_line_and_field(gateway, case):
    bad, field = BAD_INPUTS[case]
    bad = bad if isinstance(bad, str) else json.dumps(bad)
    text = "\n".join([json.dumps(request(9)), "", bad])
    body = {"input": text, "endpoint": ENCODE}
    answer = await gateway.ask("POST", "/v1/batches", body)
    done = await gateway.until(answer.json["id"], *ENDED)
    assert done["status"] == "failed"
    (error,) = done["errors"]["data"]
    assert (error["line"], error.get("param", "")) == (3, field)
    assert not gateway.inference.calls


async def test_an_input_without_requests_or_with_too_many_fails(client, gateway):
    done = await gateway.until(await gateway.begin([]), *ENDED)
    assert done["errors"]["data"][0]["message"] == "input: has no requests"
    lines = [request(n) for n in range(1001)]
    done = await gateway.until(await gateway.begin(lines), *ENDED)
    assert "more than 1000" in done["errors"]["data"][0]["message"]


REFUSALS = {
    "no input": ({"endpoint": ENCODE}, 400, "input_file_id"),
    "two inputs": ({"endpoint": ENCODE, "input": "a", "input_uri": "s3://a/b"}, 400, "input_uri"),
    "no endpoint": ({"input": "{}"}, 400, "endpoint"),
    "unknown endpoint": ({"input": "{}", "endpoint": "/v1/chat/completions"}, 400, "endpoint"),
    "endpoint that creates": ({"input": "{}", "endpoint": "/v1/pools"}, 400, "endpoint"),
    "window": (
        {"input": "{}", "endpoint": ENCODE, "completion_window": "soon"},
        400,
        "completion_window",
    ),
    "window in Arabic": (
        {"input": "{}", "endpoint": ENCODE, "completion_window": "1٢h"},
        400,
        "completion_window",
    ),
    "long window": (
        {"input": "{}", "endpoint": ENCODE, "completion_window": "31d"},
        400,
        "completion_window",
    ),
    "notes": ({"input": "{}", "endpoint": ENCODE, "metadata": {"a": "x" * 513}}, 400, "metadata"),
    "many notes": (
        {"input": "{}", "endpoint": ENCODE, "metadata": {str(n): "" for n in range(17)}},
        400,
        "metadata",
    ),
    "unknown file": ({"input_file_id": "file-1", "endpoint": ENCODE}, 404, None),
    "odd file": ({"input_file_id": "../.*.>", "endpoint": ENCODE}, 404, None),
    "no URL": ({"input_uri": "/etc/passwd", "endpoint": ENCODE}, 400, "input_uri"),
    "other scheme": ({"input_uri": "http://a/b", "endpoint": ENCODE}, 400, "input_uri"),
    "elsewhere": ({"input_uri": "file:///etc/passwd", "endpoint": ENCODE}, 403, None),
    "elsewhere out": ({"input": "{}", "output_uri": "s3://other/", "endpoint": ENCODE}, 403, None),
    "unknown field": ({"input": "{}", "endpoint": ENCODE, "inptu": 1}, 400, "inptu"),
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_a_batch_that_cannot_begin_is_refused(gateway, case):
    body, status, field = REFUSALS[case]
    answer = await gateway.ask("POST", "/v1/batches", body)
    assert answer.status == status, answer.body
    assert answer.json["error"].get("metadata", {}).get("field") == field
