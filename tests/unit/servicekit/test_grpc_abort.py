"""The end of a call whose caller has gone."""

import asyncio

import grpc
import pytest

from servicekit.errors import invalid
from servicekit.grpc_server import abort


class GoneContext:
    """What the library does when a status cannot be sent any more."""

    async def abort(self, *_):
        raise grpc.aio.InternalError


async def test_a_status_that_reaches_nobody_ends_the_call_as_if_it_were_cancelled():
    with pytest.raises(asyncio.CancelledError):
        await abort(GoneContext(), invalid("a", "is wrong"))
