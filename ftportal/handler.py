"""Django's ASGI handler with few changes of thread in a request.

Every view here is synchronous, and so is every middleware's work. Django's own handler runs the middleware
asynchronously all the same: each of them changes to a thread and back twice, and each request starts a thread of its
own. Here the whole chain runs in one go, on a thread that is kept for the next request. Streams are still sent
asynchronously.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import django
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase

MOST_KEPT = 32
"""Threads that wait for the next request; more are started when more requests come at once, and end after them."""


class RequestThreads:
    """Executors of one thread each: a request has one to itself, since database connections belong to a thread.

    Used from the event loop's thread only.
    """

    def __init__(self, most_kept: int = MOST_KEPT) -> None:
        self._free: list[ThreadPoolExecutor] = []
        self._most_kept = most_kept

    @contextmanager
    def one(self) -> Iterator[ThreadPoolExecutor]:
        """An executor of which nobody else has anything until the block ends."""
        executor = self._free.pop() if self._free else ThreadPoolExecutor(1, thread_name_prefix="request")
        try:
            yield executor
        finally:
            if len(self._free) < self._most_kept:
                self._free.append(executor)
            else:
                executor.shutdown(wait=False)


class PortalHandler(ASGIHandler):
    """Answers each request with one change to a thread and back."""

    def __init__(self) -> None:
        super().__init__()
        self._threads = RequestThreads()

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        with self._threads.one() as executor:
            async with ThreadSensitiveContext(executor=executor):
                await super().__call__(scope, receive, send)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        answer: Callable[[HttpRequest], HttpResponseBase] = self.get_response
        return await sync_to_async(answer, thread_sensitive=True)(request)


def get_portal_application() -> PortalHandler:
    """The ASGI application; Django is set up first."""
    django.setup(set_prefix=False)
    return PortalHandler()
