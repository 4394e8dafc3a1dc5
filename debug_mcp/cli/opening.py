"""Opening what has a task group in it, without its way of raising."""

import contextlib
from collections.abc import AsyncIterator
from typing import TypeVar

from debug_mcp.errors import DebugMcpError

T = TypeVar("T")


@contextlib.asynccontextmanager
async def opened(opening: contextlib.AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """Enter a context; an error of the block comes out as it is, and not as one of a group."""
    failure: DebugMcpError | None = None
    async with opening as value:
        try:
            yield value
        except DebugMcpError as error:
            failure = error
    if failure is not None:
        raise failure
