"""The database from inside the event loop: in threads of its own, each call with a connection of the pool."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import connections

THREADS = 12
Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")

_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="gateway")


async def in_thread(
    function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Result:
    """Call `function`, which may use the database, without blocking the event loop."""
    context = contextvars.copy_context()
    call = partial(_called, function, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_threads, partial(context.run, call))


def _called(
    function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Result:
    try:
        return function(*args, **kwargs)
    finally:
        connections.close_all()  # back to the pool
