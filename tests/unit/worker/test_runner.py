"""The runner asks the engine for what the texts of a batch want, and packs what they are."""

import asyncio
import time

import numpy as np

from worker.batcher import BatchLimits
from worker.packing import pack_texts
from worker.runner import Runner, Waiting
from worker.tokenizer import TokenizedText

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
    return Waiting(tokenized, frozenset(outputs), time.time() + 60, None, 0)


async def run(texts):
    """Run texts that came at the same time; return the engine's runs."""
    engine, finished = FakeEngine(), asyncio.Event()
    runner = Runner(engine, pack_texts, LIMITS, lambda _: finished.set(), lambda _: None)
    runner.submit(texts)
    await asyncio.wait_for(finished.wait(), 10)
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
