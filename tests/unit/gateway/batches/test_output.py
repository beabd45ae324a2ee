"""What batches write elsewhere is whole or is not there."""

import asyncio
import gc
import threading

import fsspec
import pytest
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

from gateway.batches.output import write_blocks
from servicekit.errors import SieError

OBJECTS = {}
GATE = threading.Event()


class Upload(AbstractBufferedFile):
    """Shows an object when its last part has come, as buckets do."""

    def _initiate_upload(self):
        self.parts = []

    def _upload_chunk(self, final=False):
        GATE.wait(5)
        self.parts.append(self.buffer.getvalue())
        if b"broken" in self.parts[-1]:
            raise OSError("a part was refused")
        if final:
            OBJECTS[self.path] = b"".join(self.parts)
        return True


class Bucket(AbstractFileSystem):
    protocol = "bucket"

    def _open(self, path, mode="rb", **_):
        return Upload(self, path, mode, block_size=10)


@pytest.fixture(autouse=True)
def bucket():
    fsspec.register_implementation("bucket", Bucket, clobber=True)
    GATE.set()
    OBJECTS.clear()


def shown(tmp_path):
    gc.collect()
    return [*OBJECTS.values(), *(path.read_bytes() for path in tmp_path.rglob("*.*"))]


async def blocks(*content, error=None):
    for block in content:
        yield block
    if error is not None:
        raise error


@pytest.fixture(params=["bucket://out/a.jsonl", "file://{}/out/a.jsonl"])
def url(request, tmp_path):
    return request.param.format(tmp_path)


async def test_all_blocks_are_written(url, tmp_path):
    await write_blocks(url, blocks(b"one" * 10, b"two"))
    assert shown(tmp_path) == [b"one" * 10 + b"two"]


@pytest.mark.parametrize("content", [b"", b"one", b"one" * 10])
@pytest.mark.parametrize("error", [ValueError("no"), asyncio.CancelledError()])
async def test_nothing_is_shown_of_content_that_breaks_off(url, tmp_path, content, error):
    with pytest.raises(type(error)):
        await write_blocks(url, blocks(content, error=error))
    assert shown(tmp_path) == []


async def test_nothing_is_shown_when_the_caller_goes_in_the_middle_of_a_write(tmp_path):
    GATE.clear()
    writing = asyncio.create_task(write_blocks("bucket://out/a", blocks(b"one" * 10, b"two")))
    await asyncio.sleep(0.05)
    writing.cancel()
    await asyncio.sleep(0.05)
    # Whoever ends a task says so again after a while.
    writing.cancel()
    GATE.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await asyncio.sleep(0.05)
    assert shown(tmp_path) == []


async def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(SieError, match="bucket://out/a: OSError"):
        await write_blocks("bucket://out/a", blocks(b"broken"))
    assert shown(tmp_path) == []
