"""Extract requests run through a job without a broker."""

from google.protobuf import json_format

from sie.inference.v1.inference_service_pb2 import ExtractResponse
from sie.registry.v1.model_pb2 import Model
from sie.work.v1.work_item_pb2 import WorkItem
from worker.batching.packing import pack_texts
from worker.verbs.extract import ExtractJob

MODEL = Model(model_id="m")


class FakeDelivery:
    """A delivery that remembers what it is answered with."""

    max_fragment_bytes = 1_000_000

    def __init__(self, texts, **params):
        items = [{"text": text} for text in texts]
        request = {"first_item": 7, "extract": {"items": items, "params": params}}
        self.item = json_format.ParseDict(request, WorkItem())
        self.fragments = None
        self.error = None

    async def reply(self, _verb, fragments):
        self.fragments = fragments

    async def fail(self, error):
        self.error = error


async def answer(loaded, texts, *, model=MODEL, **params):
    """Run a request through a job, in small batches, and return its results."""
    job = ExtractJob(FakeDelivery(texts, **params), model, loaded)
    inputs = list(job.prepare())
    for first in range(0, len(inputs), 5):
        batch = inputs[first : first + 5]
        outputs = loaded.engine.run(pack_texts([text for _, text in batch]), sorted(job.outputs))
        for row, (index, _) in enumerate(batch):
            job.put(index, outputs, row)
    assert job.done
    await job.finish()
    return ExtractResponse.FromString(b"".join(job.delivery.fragments)).items
