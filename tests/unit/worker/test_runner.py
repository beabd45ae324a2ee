"""The runner asks the engine for what the texts of a batch want, and packs what they are."""

import asyncio
import threading
import time
from dataclasses import replace

import numpy as np

from servicekit.defaults import DEFAULT_TENANT
from worker.batching.batcher import BatchLimits
from worker.batching.packing import pack_texts
from worker.batching.runner import Runner, Waiting
from worker.batching.waiting_queue import Flow
from worker.engine import OutOfMemoryError, engine_error
from worker.texts.tokenizer import TokenizedText

LIMITS = BatchLimits(1024, 32, 99)


class FakeEngine:
    """Remembers its batches, and answers each row with its first id."""

    name = "fake"
    streams = 1

    def __init__(self):
        self.runs = []

    def run(self, batch, outputs=()):
        self.runs.append((batch, list(outputs)))
        return {output: batch.input_ids[:, :1].astype(np.float32) for output in outputs}

    def close(self):
        pass


def text(ids, outputs, **more):
    tokenized = TokenizedText(np.array(ids, np.int32), truncated=False, **more)
    return Waiting(tokenized, frozenset(outputs), time.perf_counter() + 60, None, 0)


async def run(texts):
    """Run texts that came at the same time; return the engine's runs."""
    engine, finished = FakeEngine(), asyncio.Event()
    runner = Runner(engine, pack_texts, LIMITS, lambda _: finished.set(), lambda _: None)
    runner.submit(texts)
    await asyncio.wait_for(finished.wait(), 30)
    await asyncio.to_thread(runner.close)
    return engine.runs


async def test_a_batch_runs_for_what_any_of_its_texts_wants():
    ((_, outputs),) = await run([text([1], ["dense"]), text([2], ["sparse", "dense"])])
    assert outputs == ["dense", "sparse"]


async def test_unattended_tokens_are_in_the_batch_and_not_in_the_lengths():
    ((batch, _),) = await run([text([1, 2], ["m"]), text([1, 3, 9, 9], ["m"], unattended=2)])
    assert batch.input_ids.tolist() == [[1, 2, 0, 0], [1, 3, 9, 9]]
    assert batch.lengths.tolist() == [2, 2]
    assert batch.type_ids is None


async def test_a_single_text_beside_a_pair_is_of_type_0():
    pair = text([1, 2, 3], ["logits"], type_ids=np.array([0, 1, 1], np.int32))
    ((batch, _),) = await run([text([1, 2], ["logits"]), pair])
    assert batch.type_ids.tolist() == [[0, 0, 0], [0, 1, 1]]


class TightEngine(FakeEngine):
    """Has memory for so many rows."""

    def __init__(self, rows):
        super().__init__()
        self.rows = rows

    def run(self, batch, outputs=()):
        answers = super().run(batch, outputs)
        if len(batch.input_ids) > self.rows:
            raise engine_error(self.name, RuntimeError("BFCArena: Failed to allocate memory"))
        return answers


async def run_out_of_memory(engine, count, relieve):
    """Run texts that came together; return the batches that came back."""
    came = []
    runner = Runner(engine, pack_texts, LIMITS, came.append, lambda _: None, relieve=relieve)
    runner.submit([text([n], ["dense"]) for n in range(count)])
    while sum(len(each.inputs) for each in came) < count:
        await asyncio.sleep(0.01)
    await asyncio.to_thread(runner.close)
    return came


async def test_a_run_out_of_memory_is_repeated_once_others_have_given_theirs_back():
    engine = TightEngine(rows=1)

    def relieve():
        engine.rows = 8

    (batch,) = await run_out_of_memory(engine, 8, relieve)
    assert (batch.error, [len(b.input_ids) for b, _ in engine.runs]) == (None, [8, 8])


async def test_a_batch_that_stays_too_large_is_halved():
    came = await run_out_of_memory(TightEngine(rows=2), 8, lambda: None)
    assert [(len(each.inputs), each.error) for each in came] == [(2, None)] * 4


async def test_a_text_that_is_too_large_alone_is_out_of_memory():
    (batch,) = await run_out_of_memory(TightEngine(rows=0), 1, lambda: None)
    assert isinstance(batch.error, OutOfMemoryError)


class BusyEngine(FakeEngine):
    """Has two streams, and holds its first run until it is told."""

    streams = 2

    def __init__(self):
        super().__init__()
        self.go = threading.Event()

    def run(self, batch, outputs=()):
        answers = super().run(batch, outputs)
        if len(self.runs) == 1:
            self.go.wait(10)
        return answers


async def rows_beside_a_run(limits, texts):
    """Submit texts one by one while a run is in flight; return the rows of the runs after it."""
    engine, came = BusyEngine(), []
    runner = Runner(engine, pack_texts, limits, came.append, lambda _: None)
    runner.submit([text([1], ["dense"])])
    while not engine.runs:
        await asyncio.sleep(0.001)
    for each in texts:
        runner.submit([each])
        await asyncio.sleep(0.02)
    engine.go.set()
    await asyncio.to_thread(runner.close)
    return [len(batch.input_ids) for batch, _ in engine.runs[1:]]


async def test_beside_a_run_texts_wait_for_a_full_batch():
    limits = replace(LIMITS, full_tokens=6, patience_s=60.0)
    texts = [text([1, 2], ["dense"]) for _ in range(3)]
    assert await rows_beside_a_run(limits, texts) == [3]


async def test_beside_a_run_texts_wait_no_longer_than_patience():
    limits = replace(LIMITS, full_tokens=100, patience_s=0.001)
    texts = [text([1, 2], ["dense"]) for _ in range(3)]
    assert await rows_beside_a_run(limits, texts) == [1, 1, 1]


def bulk(ids):
    return replace(text(ids, ["dense"]), flow=Flow(DEFAULT_TENANT, bulk=True))


class GatedEngine(FakeEngine):
    """Has two streams, and ends no run before it is told."""

    streams = 2

    def __init__(self):
        super().__init__()
        self.go = threading.Event()

    def run(self, batch, outputs=()):
        answers = super().run(batch, outputs)
        self.go.wait(10)
        return answers


async def started(engine, count):
    """How many runs have begun, once `count` have, or a while after none more does."""
    for _ in range(100 if len(engine.runs) < count else 5):
        if len(engine.runs) > count:
            break
        await asyncio.sleep(0.005)
    return len(engine.runs)


async def test_bulk_work_leaves_a_stream_where_interactive_work_came_lately():
    engine, came = GatedEngine(), []
    limits = replace(LIMITS, full_tokens=2, patience_s=60.0)
    runner = Runner(engine, pack_texts, limits, came.append, lambda _: None)
    engine.go.set()
    runner.submit([text([1], ["dense"])])
    while not came:
        await asyncio.sleep(0.001)
    engine.go.clear()
    runner.submit([bulk([2] * 2) for _ in range(8)])
    assert await started(engine, 2) == 2
    # Runs of bulk work are short, and whoever comes has the other stream at once.
    assert engine.runs[1][0].input_ids.shape == (1, 2)
    runner.submit([text([3], ["dense"])])
    assert await started(engine, 3) == 3
    assert engine.runs[2][0].input_ids[0, 0] == 3
    engine.go.set()
    await asyncio.to_thread(runner.close)
    assert sum(len(batch.input_ids) for batch, _ in engine.runs) == 10


async def test_bulk_work_alone_has_every_stream():
    engine = GatedEngine()
    runner = Runner(engine, pack_texts, LIMITS, lambda _: None, lambda _: None)
    for _ in range(2):
        runner.submit([bulk([1])])
        await asyncio.sleep(0.02)
    assert await started(engine, 2) == 2
    engine.go.set()
    await asyncio.to_thread(runner.close)
