"""What the services keep in buckets, against servers that speak the protocols."""

import asyncio
import gc
import time

import pytest

from gateway.batches.output import write_blocks
from gateway.batches.places import read_blocks
from servicekit.errors import SieError, code_of
from servicekit.payloads import TTL_S, FilePayloads, open_files, open_payloads
from worker.sources import ClusterCache
from worker.sources.urls import files_of

# The file system of GCS is told so by what it uses.
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")

LARGE = bytes(range(256)) * 40_000


@pytest.mark.parametrize("prefix", ["", "/", "/some/prefix"])
async def test_what_is_put_is_got_until_it_is_deleted(bucket, listing, prefix):
    store = open_payloads(bucket + prefix, None)
    await store.sweep()
    await store.put("one", LARGE)
    await store.put("two", b"2")
    assert (await store.get("one"), await store.get("two")) == (LARGE, b"2")
    await store.delete("one")
    await store.delete("one")
    assert listing() == [f"{prefix}/requests/two".lstrip("/")]
    for key in ("one", "never"):
        with pytest.raises(SieError) as caught:
            await store.get(key)
        assert code_of(caught.value.reason) == "PAYLOAD_UNAVAILABLE"
        assert "://" not in caught.value.message


async def test_a_sweep_removes_what_is_old_of_its_own_and_nothing_else(bucket, listing):
    requests, files = open_payloads(bucket, None), open_files(bucket, None)
    await requests.put("k", b"1")
    await files.put("k", b"2")
    await requests.sweep()
    assert listing() == ["files/k", "requests/k"]
    later = FilePayloads(f"{bucket}/requests", clock=lambda: time.time() + TTL_S + 60)
    await later.sweep()
    assert listing() == ["files/k"]
    # What came after the first sweep is seen by the next.
    await requests.put("l", b"1")
    await later.sweep()
    assert listing() == ["files/k"]


async def test_a_bucket_that_is_not_there_is_an_error_and_is_not_made(bucket):
    store = open_payloads(bucket + "-misspelt", None)
    for call in (store.put("k", b"1"), store.get("k"), store.sweep()):
        with pytest.raises(SieError, match="PAYLOAD_UNAVAILABLE"):
            await call


async def test_input_and_output_of_batches(bucket):
    async def blocks():
        yield LARGE
        yield b"end"

    await write_blocks(f"{bucket}/out/results.jsonl", blocks())
    found = [block async for block in read_blocks(f"{bucket}/out/results.jsonl")]
    assert b"".join(found) == LARGE + b"end"
    with pytest.raises(SieError, match="INVALID_INPUT"):
        await anext(read_blocks(f"{bucket}/out/never.jsonl"))
    with pytest.raises(SieError, match="INVALID_INPUT"):
        await write_blocks(f"{bucket}-misspelt/out", blocks())


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError])
@pytest.mark.parametrize("content", [b"small", LARGE])
async def test_output_of_a_batch_that_breaks_off_never_appears(bucket, listing, content, error):
    async def blocks():
        yield content
        raise error

    with pytest.raises(error):
        await write_blocks(f"{bucket}/out/results.jsonl", blocks())
    gc.collect()
    assert listing() == []


def test_a_cluster_cache_and_a_model_source(bucket, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "config.json").write_bytes(b"{}")
    (tmp_path / "sub" / "model.bin").write_bytes(LARGE)
    cache = ClusterCache(f"{bucket}/cache")
    assert cache.files_of("some-key") == []
    cache.keep("some-key", tmp_path).join(30)
    for files in (cache.files_of("some-key"), files_of(f"{bucket}/cache/some-key", {})[0]):
        by_name = {file.name: file for file in files}
        assert sorted(by_name) == ["config.json", "sub/model.bin"]
        assert by_name["sub/model.bin"].size == len(LARGE)
        with by_name["sub/model.bin"].open(1000) as stream:
            assert stream.body.read() == LARGE[1000:]
