"""Answering callers whose work no worker will answer any more."""

from nats.aio.client import Client

from servicekit.errors import SieError, proto_of
from sie.work.v1.work_item_pb2 import WorkItem
from sie.work.v1.work_result_pb2 import WorkResult

WORKER_ID = "config-service"


async def answer(client: Client, item: WorkItem, error: SieError) -> None:
    """Tells the caller of a work item that all of it has failed, if it can be told."""
    if not item.reply_subject:
        return
    result = WorkResult(
        request_id=item.request_id,
        first_item=item.first_item,
        item_count=item.item_count,
        worker_id=WORKER_ID,
        error=proto_of(error),
    )
    await client.publish(item.reply_subject, result.SerializeToString())
