"""Noticing that a client has gone, so that its call can be given up."""

import asyncio
from types import TracebackType
from typing import Self

from gateway.http.body import Receive

# A watch is a task. Calls that end sooner than this never pay for one.
_PATIENCE_S = 0.02


class DisconnectWatch:
    """Cancels the task that enters it when the client disconnects, and swallows that.

    Args:
        receive: the ASGI channel, of which the body has been read when `start` is called.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._timer: asyncio.TimerHandle | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._watched: asyncio.Task[object] | None = None
        self.client_gone = False

    def start(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_PATIENCE_S, self._begin)

    def _begin(self) -> None:
        self._watcher = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone()

    def gone(self) -> None:
        """The client has gone: whoever reads the body sees it first."""
        self.client_gone = True
        assert self._watched is not None
        self._watched.cancel()

    def __enter__(self) -> Self:
        self._watched = asyncio.current_task()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> bool:
        if self._timer is not None:
            self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
        if self.client_gone and kind is asyncio.CancelledError:
            assert self._watched is not None
            self._watched.uncancel()
            return True
        return False
