"""Reading and writing of large bodies, in threads of their own.

What takes milliseconds for a large body is what everybody else would wait for on the event loop;
in a thread it is interrupted for them. There are two, since more would only take turns from the
loop: a third large body waits.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

# In bytes. Smaller bodies are done with faster than a thread is woken, or not much later.
INLINE_BYTES = 64 * 1024
_THREADS = ThreadPoolExecutor(2, "large-bodies")


async def beside_the_loop(size: int, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """What `work` returns or raises.

    Args:
        size: of the body, in bytes.
        work: touches nothing that others use meanwhile.
        args: of `work`.
        kwargs: of `work`.
    """
    if size <= INLINE_BYTES:
        return work(*args, **kwargs)
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_THREADS, lambda: work(*args, **kwargs))
