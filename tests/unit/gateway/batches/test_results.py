"""What a batch gives: a result for each request, in its place."""

import json

from servicekit.errors import SieError
from sie.errors.v1.error_reason_pb2 import ErrorReason
from tests.unit.gateway.batches.running import ENCODE, ENDED, request


async def test_every_request_has_its_result_in_their_order(gateway):
    batch = await gateway.begin([request(n) for n in range(600)], metadata={"for": "test"})
    done = await gateway.until(batch, *ENDED)
    assert done["status"] == "completed"
    assert done["request_counts"] == {"total": 600, "completed": 600, "failed": 0}
    assert done["metadata"] == {"for": "test"}
    assert done["created_at"] <= done["in_progress_at"] <= done["completed_at"]
    assert "error_file_id" not in done
    lines = await gateway.results(done["output_file_id"])
    assert [line["custom_id"] for line in lines] == [f"c{n}" for n in range(600)]
    assert [line["line"] for line in lines] == list(range(1, 601))
    values = [line["response"]["body"]["items"][0]["dense"]["values"][0] for line in lines]
    assert values == [n + 1.0 for n in range(600)]


async def test_work_of_a_batch_is_bulk_and_of_the_lane_that_was_asked_for(gateway):
    text = json.dumps(request(0))
    body = {"input": text, "endpoint": "/v1/encode", "completion_window": "1h"}
    answer = await gateway.ask("POST", "/v1/batches", body, headers=[("X-SIE-Pool", "p")])
    done = await gateway.until(answer.json["id"], *ENDED)
    assert done["expires_at"] - done["created_at"] == 3600
    (call,) = gateway.inference.calls
    assert call.metadata == {"x-sie-work-class": "bulk", "x-sie-pool": "p"}
    assert call.principal.tenant == "acme"


async def test_a_request_that_fails_is_told_in_the_file_of_errors(gateway):
    bad = request(1, items=[{"txt": "x"}])
    refused = request(2, url="/v1/encode/refused")
    batch = await gateway.begin([request(0), bad, refused, request(3)], endpoint="/v1/encode")
    done = await gateway.until(batch, *ENDED)
    assert done["request_counts"] == {"total": 4, "completed": 2, "failed": 2}
    first, second = await gateway.results(done["error_file_id"])
    assert (first["custom_id"], first["line"], first["response"]["status_code"]) == ("c1", 2, 400)
    assert first["response"]["body"]["error"]["metadata"]["field"] == "items[0].txt"
    assert second["response"]["body"]["error"]["code"] == "INVALID_INPUT"
    assert [each["line"] for each in await gateway.results(done["output_file_id"])] == [1, 4]


async def test_a_request_that_may_succeed_later_is_made_again(gateway):
    inference = gateway.inference

    async def busy(_model):
        if len(inference.calls) < 3:
            reason = ErrorReason.ERROR_REASON_QUEUE_FULL
            raise SieError(reason, "full", retry_after_s=0.05, pool="p")

    inference._misbehave = busy
    done = await gateway.until(await gateway.begin([request(0)]), *ENDED)
    assert done["request_counts"]["completed"] == 1
    assert len(inference.calls) == 3


async def test_input_and_output_may_be_elsewhere(gateway, tmp_path):
    folder = tmp_path / "place" / "acme"
    folder.mkdir(parents=True)
    (folder / "in.jsonl").write_text("\n".join(json.dumps(request(n)) for n in range(3)))
    (folder / "link.jsonl").symlink_to("/etc/passwd")
    place = f"file://{folder}"
    body = {"input_uri": f"{place}/in.jsonl", "output_uri": f"{place}/out/", "endpoint": ENCODE}
    batch = (await gateway.ask("POST", "/v1/batches", body)).json["id"]
    done = await gateway.until(batch, *ENDED)
    assert done["status"] == "completed", done
    written = (folder / "out" / f"{batch}_output.jsonl").read_bytes()
    assert written == await gateway.content(done["output_file_id"])
    for name, status in (
        ("../other/in.jsonl", 403),
        ("link.jsonl", 403),
        ("a//b", 403),
        ("missing.jsonl", 201),
    ):
        body = {"input_uri": f"{place}/{name}", "endpoint": ENCODE}
        assert (await gateway.ask("POST", "/v1/batches", body)).status == status, name
    other = await gateway.ask(
        "POST", "/v1/batches", {"input_uri": f"{place}/in.jsonl", "endpoint": ENCODE}, "other"
    )
    assert other.status == 403
    (missing, *_) = (await gateway.ask("GET", "/v1/batches?limit=1")).json["data"]
    failed = await gateway.until(missing["id"], *ENDED)
    assert failed["errors"]["data"][0]["param"] == "input_uri"
