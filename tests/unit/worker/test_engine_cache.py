"""Compiled graphs are found again, and only where they are the right ones and whole."""

import json
import multiprocessing
import os

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from worker.checkpoint.checkpoint import Checkpoint
from worker.checkpoint.config import CheckpointError
from worker.files.content import ContentDigests, digest_of, write_atomically
from worker.opening.engine_cache import EngineCache


def fill(directory):
    (directory / "model.onnx").write_bytes(b"graph")
    (directory / "model.weights").write_bytes(b"weights" * 1000)


def never(_directory):
    pytest.fail("built although the cache holds it")


def key_of(cache, directory, *, form="fused-padded"):
    return cache.key(Checkpoint.open(directory), form=form)


def test_an_entry_is_built_once_and_then_found(tmp_path):
    cache = EngineCache(tmp_path)
    assert cache.find("key") is None
    entry = cache.build("key", fill)
    assert (entry / "model.onnx").read_bytes() == b"graph"
    assert cache.build("key", never) == entry
    assert EngineCache(tmp_path).find("key") == entry


@pytest.mark.parametrize("file", ["model.onnx", "model.weights", "manifest.json"])
@pytest.mark.parametrize("damage", ["removed", "truncated", "overwritten"])
def test_a_damaged_entry_is_rebuilt(tmp_path, file, damage):
    cache = EngineCache(tmp_path)
    damaged = cache.build("key", fill) / file
    content = damaged.read_bytes()
    if damage == "removed":
        damaged.unlink()
    elif damage == "truncated":
        damaged.write_bytes(content[: len(content) // 2])
    else:
        damaged.write_bytes(bytes(byte ^ 1 for byte in content))
        later = damaged.stat().st_mtime_ns + 1_000_000
        os.utime(damaged, ns=(later, later))
    assert cache.find("key") is None
    cache.build("key", fill)
    assert damaged.read_bytes() == content
    assert cache.find("key") is not None


def test_a_failed_build_leaves_nothing_behind(tmp_path):
    def fail(directory):
        fill(directory)
        raise CheckpointError(directory, "is broken")

    cache = EngineCache(tmp_path)
    with pytest.raises(CheckpointError):
        cache.build("key", fail)
    assert cache.find("key") is None
    assert [path.name for path in (tmp_path / "engines").iterdir()] == ["key.lock"]


def test_the_key_covers_weights_configuration_and_form(checkpoint_copy, tmp_path):
    directory = checkpoint_copy("bert_mean")
    cache = EngineCache(tmp_path / "cache")
    keys = [key_of(cache, directory)]
    keys.append(key_of(cache, directory, form="standard-padded"))
    (directory / "1_Pooling/config.json").write_text('{"pooling_mode": "cls"}')
    keys.append(key_of(cache, directory))
    config = json.loads((directory / "config.json").read_bytes())
    (directory / "config.json").write_text(json.dumps(config | {"layer_norm_eps": 1e-6}))
    keys.append(key_of(cache, directory))
    tensors = load_file(directory / "model.safetensors")
    tensors["embeddings.LayerNorm.bias"] += np.float32(1)
    save_file(tensors, directory / "model.safetensors")
    keys.append(key_of(cache, directory))
    assert len(set(keys)) == len(keys)


def test_the_same_checkpoint_elsewhere_has_the_same_key(golden, checkpoint_copy, tmp_path):
    cache = EngineCache(tmp_path / "cache")
    original = key_of(cache, golden("bert_cls").directory)
    assert key_of(cache, checkpoint_copy("bert_cls")) == original


def test_a_key_needs_the_weights(checkpoint_copy, tmp_path):
    directory = checkpoint_copy("bert_mean")
    (directory / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors: is missing"):
        key_of(EngineCache(tmp_path / "cache"), directory)


def test_an_unchanged_file_is_not_read_again(tmp_path, monkeypatch):
    file = tmp_path / "weights"
    file.write_bytes(b"content")
    digests = ContentDigests(tmp_path / "digests")
    assert digests.of(file) == digest_of(b"content")
    monkeypatch.setattr("worker.files.content.digest_of_file", never)
    assert digests.of(file) == digest_of(b"content")


@pytest.mark.parametrize("record", [b"", b"[]", b'{"state": 3}', b"\x80"])
def test_a_damaged_digest_record_is_replaced(tmp_path, record):
    file = tmp_path / "weights"
    file.write_bytes(b"content")
    digests = ContentDigests(tmp_path / "digests")
    digests.of(file)
    (path,) = (tmp_path / "digests").iterdir()
    path.write_bytes(record)
    assert digests.of(file) == digest_of(b"content")
    assert json.loads(path.read_bytes())["digest"] == digest_of(b"content")


def build_slowly(root, log):
    def fill_slowly(directory):
        with log.open("a") as opened:
            opened.write("built\n")
        multiprocessing.Event().wait(0.2)
        fill(directory)

    EngineCache(root).build("key", fill_slowly)


def test_two_processes_build_an_entry_once(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    log = tmp_path / "log"
    processes = [spawn.Process(target=build_slowly, args=(tmp_path, log)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0, 0]
    assert log.read_text() == "built\n"
    assert EngineCache(tmp_path).find("key") is not None


def test_digests_are_computed_where_they_cannot_be_kept(tmp_path):
    (tmp_path / "digests").touch()
    file = tmp_path / "file"
    file.write_bytes(b"content")
    assert ContentDigests(tmp_path / "digests").of(file) == digest_of(b"content")


def test_nothing_is_left_of_a_write_that_fails(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_atomically(tmp_path / "taken", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
