"""Work that goes on for as long as its process does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


async def lasting(part: Callable[[], Coroutine[Any, Any, None]], pause: float) -> None:
    """Run ``part``, which never returns; what it did not foresee is told to the loop and does not end it.

    A lease that nobody renews any more, or marks that nobody syncs, would stop the whole fleet without a word.
    ``pause``: seconds before it is begun again.
    """
    while True:
        try:
            await part()
        except Exception as error:
            unforeseen(part.__qualname__, error)
        await asyncio.sleep(pause)


def unforeseen(where: str, error: Exception) -> None:
    """Tell the loop of an error that did not end the work in which it came up."""
    context = {"message": f"{where} failed, and goes on", "exception": error}
    asyncio.get_running_loop().call_exception_handler(context)
