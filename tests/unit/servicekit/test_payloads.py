"""Payload stores, all held to the same."""

import os

import nats
import pytest

from config_service.streams import StreamLimits, Streams
from servicekit.errors import SieError, code_of
from servicekit.payloads import TTL_S, FilePayloads, JetStreamPayloads, open_files, open_payloads

LARGE = bytes(range(256)) * 40_000


@pytest.fixture(params=["jetstream", "file", "memory"])
async def store(request, nats_url, tmp_path):
    if request.param != "jetstream":
        url = f"file://{tmp_path}/payloads" if request.param == "file" else "memory://payloads"
        yield open_payloads(url, None)
        return
    client = await nats.connect(nats_url)
    await Streams(client, StreamLimits()).ensure()
    yield open_payloads("jetstream", client)
    await client.close()


async def test_what_is_put_is_got_until_it_is_deleted(store):
    await store.put("one", LARGE)
    await store.put("two", b"2")
    assert (await store.get("one"), await store.get("two")) == (LARGE, b"2")
    await store.delete("one")
    assert await store.get("two") == b"2"
    with pytest.raises(SieError) as caught:
        await store.get("one")
    assert code_of(caught.value.reason) == "PAYLOAD_UNAVAILABLE"
    await store.delete("one")
    await store.delete("two")


async def test_a_sweep_removes_what_is_old_and_nothing_else(tmp_path):
    now = [(tmp_path / "x").parent.stat().st_mtime]
    store = FilePayloads(f"file://{tmp_path}/payloads", clock=lambda: now[0])
    await store.sweep()
    await store.put("kept", b"1")
    await store.sweep()
    assert await store.get("kept") == b"1"
    now[0] += TTL_S + 60
    await store.sweep()
    assert not list((tmp_path / "payloads").iterdir())


async def test_stores_of_one_place_leave_each_other_and_everything_else_alone(tmp_path):
    url = f"file://{tmp_path}"
    (tmp_path / "other").write_bytes(b"3")
    requests, files = open_payloads(url, None), open_files(url, None)
    await requests.put("k", b"1")
    await files.put("k", b"2")
    for path in tmp_path.rglob("*"):
        os.utime(path, (0, 0))
    await requests.sweep()
    with pytest.raises(SieError):
        await requests.get("k")
    assert (await files.get("k"), (tmp_path / "other").read_bytes()) == (b"2", b"3")


async def test_a_broker_without_the_bucket_is_a_typed_error(nats_url):
    client = await nats.connect(nats_url)
    await client.jetstream().delete_stream("OBJ_SIE_PAYLOADS")
    with pytest.raises(SieError, match="PAYLOAD_UNAVAILABLE"):
        await JetStreamPayloads(client).put("k", b"")
    await client.close()


@pytest.mark.parametrize("url", ["", "bucket", "nosuch://x", "s3://key:secret@bucket"])
def test_a_store_that_does_not_exist_is_refused_at_the_start(url):
    with pytest.raises(ValueError, match=r"store|nosuch"):
        open_payloads(url, None)
