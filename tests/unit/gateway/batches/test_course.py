"""How batches wait, go on, and end."""

import asyncio
import json

from gateway.batches import runner
from gateway.batches.records import Key, Records, new_id
from servicekit.errors import SieError
from sie.errors.v1.error_reason_pb2 import ErrorReason
from tests.unit.gateway.batches.running import ENDED, MODEL, Gateway, SlowInference, request
from tests.unit.gateway.support import EchoInference
from tests.waiting import PATIENCE_S


async def test_a_batch_whose_record_cannot_be_read_keeps_no_other_from_its_turn(client, gateway):
    records, bad = Records(client), Key("batch", "acme", new_id("batch_"))
    await records.create(bad, b"\xff")
    await records.create(bad._replace(kind="active"), b"")
    batch = await gateway.begin([request(0)])
    assert (await gateway.until(batch, *ENDED))["status"] == "completed"
    assert not gateway.running.done()


async def test_a_batch_that_is_cancelled_keeps_what_is_done(client, place):
    inference = SlowInference()
    async with Gateway(client, "gw", [place], inference, jobs=1) as gateway:
        lines = [request(0, url="/v1/encode/quick"), *(request(n) for n in range(1, 300))]
        batch = await gateway.begin(lines, endpoint="/v1/encode")
        waiting = await gateway.begin([request(0)])
        await asyncio.wait_for(inference.called.wait(), PATIENCE_S)
        answer = await gateway.ask("POST", f"/v1/batches/{batch}/cancel")
        assert answer.json["status"] == "cancelling"
        unbegun = await gateway.ask("POST", f"/v1/batches/{waiting}/cancel")
        assert unbegun.json["status"] == "cancelled"
        ended = "sie_gateway_batches_ended_total"
        assert gateway.registry.get_sample_value(ended, {"status": "cancelled"}) == 1
        assert (await gateway.ask("DELETE", f"/v1/batches/{waiting}")).json["deleted"]
        held = await gateway.ask("DELETE", f"/v1/batches/{batch}")
        assert (held.status, held.json["error"]["code"]) == (409, "IN_USE")
        file_id = answer.json["input_file_id"]
        assert (await gateway.ask("DELETE", f"/v1/files/{file_id}")).status == 409
        await asyncio.sleep(0.5)
        inference.open.set()
        done = await gateway.until(batch, *ENDED)
        assert done["status"] == "cancelled"
        assert 1 <= done["request_counts"]["completed"] < 300
        count = len(await gateway.results(done["output_file_id"]))
        assert count == done["request_counts"]["completed"]
        again = await gateway.ask("POST", f"/v1/batches/{batch}/cancel")
        assert again.json["status"] == "cancelled"
        gone = await gateway.ask("DELETE", f"/v1/batches/{batch}")
        assert gone.json["deleted"]
        assert (await gateway.ask("GET", f"/v1/batches/{batch}")).status == 404


async def test_a_batch_without_workers_keeps_no_other_waiting_and_is_cancelled_at_once(
    client, place
):
    inference = EchoInference()

    async def without_workers(model):
        if model == MODEL:
            reason = ErrorReason.ERROR_REASON_PROVISIONING
            raise SieError(reason, "no worker", retry_after_s=30.0)

    inference._misbehave = without_workers
    async with Gateway(client, "gw", [place], inference, jobs=1, lease_s=2) as gateway:
        stalled = await gateway.begin([request(n) for n in range(3)])
        await asyncio.wait_for(inference.called.wait(), PATIENCE_S)
        done = await gateway.until(
            await gateway.begin([request(0, url="/v1/encode/x")], "/v1/encode"), *ENDED
        )
        assert done["status"] == "completed"
        await gateway.ask("POST", f"/v1/batches/{stalled}/cancel")
        done = await gateway.until(stalled, *ENDED)
        assert done["status"] == "cancelled"
        assert len(await gateway.results(done["error_file_id"])) == 3


async def test_a_batch_whose_window_passes_says_what_was_not_computed(client, place):
    inference = SlowInference()
    async with Gateway(client, "gw", [place], inference) as gateway:
        lines = [request(n) for n in range(100)]
        batch = await gateway.begin(lines, completion_window="3s")
        await asyncio.wait_for(inference.called.wait(), PATIENCE_S)
        await asyncio.sleep(3.1)
        inference.open.set()
        done = await gateway.until(batch, *ENDED)
        assert done["status"] == "expired"
        completed = done["request_counts"]["completed"]
        assert done["request_counts"] == {
            "total": 100,
            "completed": completed,
            "failed": 100 - completed,
        }
        assert 0 < completed < 100
        left = await gateway.results(done["error_file_id"])
        assert {each["error"]["code"] for each in left} == {"batch_expired"}
        assert [each["line"] for each in left] == list(range(completed + 1, 101))


async def test_a_batch_goes_on_where_a_gateway_that_ends_has_left_it(client, place):
    inference = SlowInference()
    async with Gateway(client, "one", [place], inference, lease_s=60) as one:
        quick = [request(n, url="/v1/encode/quick") for n in range(300)]
        slow = [request(n) for n in range(300, 400)]
        batch = await one.begin([*quick, *slow], endpoint="/v1/encode")
        async with asyncio.timeout(PATIENCE_S):
            while (await one.status(batch))["request_counts"]["completed"] < 256:
                await asyncio.sleep(0.05)
    made = len(inference.calls)
    async with Gateway(client, "two", [place], EchoInference(), lease_s=60) as two:
        done = await two.until(batch, *ENDED)
        assert done["status"] == "completed"
        # What was committed is not computed again.
        assert len(two.inference.calls) == 400 - 256
        assert made >= 256
        lines = await two.results(done["output_file_id"])
        assert [line["custom_id"] for line in lines] == [f"c{n}" for n in range(400)]


async def test_a_batch_of_a_gateway_that_is_silent_goes_to_another(client, place):
    inference = SlowInference()
    # One shows that it lives every fifteen seconds, which the other does not wait for.
    async with Gateway(client, "one", [place], inference, lease_s=60) as one:
        batch = await one.begin([request(n) for n in range(300)])
        await asyncio.wait_for(inference.called.wait(), PATIENCE_S)
        async with Gateway(client, "two", [place], EchoInference(), lease_s=0.6) as two:
            done = await two.until(batch, *ENDED)
            assert done["status"] == "completed"
            # The first one finds out when it has its results, and writes none of them.
            inference.open.set()
            await asyncio.sleep(0.5)
            assert await two.status(batch) == done
            lines = await two.results(done["output_file_id"])
            assert [line["custom_id"] for line in lines] == [f"c{n}" for n in range(300)]


async def test_a_batch_waits_while_its_results_cannot_be_kept(client, place, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "_POSTPONED_S", 0.2)
    store = tmp_path / "files"
    inference = SlowInference()
    async with Gateway(client, "gw", [place], inference, store=f"file://{store}") as gateway:
        batch = await gateway.begin([request(0)])
        await asyncio.wait_for(inference.called.wait(), PATIENCE_S)
        # What is no directory takes no files.
        store.rename(tmp_path / "aside")
        store.touch()
        inference.open.set()
        await asyncio.sleep(0.5)
        assert (await gateway.status(batch))["status"] == "in_progress"
        store.unlink()
        (tmp_path / "aside").rename(store)
        done = await gateway.until(batch, *ENDED)
        assert done["status"] == "completed"
        assert done["request_counts"] == {"total": 1, "completed": 1, "failed": 0}


async def test_metrics_tell_what_waits_what_runs_and_what_became_of_it(client, place):
    slow = SlowInference()
    async with Gateway(client, "gw", [place], slow, jobs=1) as gateway:

        def value(name, **labels):
            return gateway.registry.get_sample_value(f"sie_gateway_{name}", labels)

        assert value("batches_unended") == value("batch_oldest_age_seconds") == 0
        bad = request(1, items=[{"txt": "x"}])
        batches = [await gateway.begin([request(0), bad]), await gateway.begin([request(0)])]
        await gateway.until(batches[0], "in_progress")
        async with asyncio.timeout(15):
            while value("batches_unended") != 2 or not value("batch_oldest_age_seconds"):
                await asyncio.sleep(0.05)
        assert value("batches_running", status="in_progress") == 1
        assert value("batches_running", status="validating") == 0
        slow.open.set()
        done = [await gateway.until(batch, *ENDED) for batch in batches]
        ids = [
            each[kind]
            for each in done
            for kind in ("output_file_id", "error_file_id")
            if kind in each
        ]
        written = sum([len(await gateway.content(file_id)) for file_id in ids])
        async with asyncio.timeout(15):
            while value("batches_unended"):
                await asyncio.sleep(0.05)
    assert value("batches_ended_total", status="completed") == 2
    assert value("batches_ended_total", status="cancelled") == 0
    assert value("batch_requests_total", outcome="completed") == 2
    assert value("batch_requests_total", outcome="failed") == 1
    assert value("batch_bytes_total", direction="output") == written
    sent = sum(len(json.dumps(each)) + 1 for each in (request(0), bad, request(0)))
    assert value("batch_bytes_total", direction="input") in range(sent - 2, sent + 1)
    assert value("batches_running", status="in_progress") == 0
