"""The handler through its ASGI interface: whole answers, streams, errors, and people who go away in the middle."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from ftportal.handler import PortalHandler, RequestThreads

entered, go_on = threading.Event(), threading.Event()


def which_thread(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{threading.get_ident()} {request.body.decode()}")


def slow(request: HttpRequest) -> HttpResponse:
    entered.set()
    go_on.wait(20)
    return HttpResponse("late")


def broken(request: HttpRequest) -> HttpResponse:
    raise ValueError("a secret detail")


def stream(request: HttpRequest) -> StreamingHttpResponse:
    async def pieces() -> AsyncIterator[str]:
        for number in range(3):
            await asyncio.sleep(0)
            yield f"{number} {threading.current_thread() is threading.main_thread()};"

    return StreamingHttpResponse(pieces())


urlpatterns = [
    path("thread", which_thread),
    path("slow", slow),
    path("broken", broken),
    path("stream", stream),
]


@pytest.fixture
def handler(settings: Any) -> PortalHandler:
    settings.ROOT_URLCONF = __name__
    settings.ALLOWED_HOSTS = ["testserver"]
    return PortalHandler()


def asked(handler: PortalHandler, where: str, body: bytes = b"") -> ApplicationCommunicator:
    scope = {
        "type": "http",
        "method": "GET",
        "path": f"/{where}",
        "query_string": b"",
        "headers": [(b"host", b"testserver")],
    }
    communicator = ApplicationCommunicator(handler, scope)
    communicator.input_queue.put_nowait({"type": "http.request", "body": body})
    return communicator


async def answer(communicator: ApplicationCommunicator) -> tuple[int, str]:
    start = await communicator.receive_output(20)
    body, more = b"", True
    while more:
        piece = await communicator.receive_output(20)
        body, more = body + piece.get("body", b""), piece.get("more_body", False)
    communicator.input_queue.put_nowait({"type": "http.disconnect"})
    await communicator.wait(20)
    return start["status"], body.decode()


@pytest.mark.django_db
def test_requests_one_after_the_other_share_a_thread_that_is_not_the_loops(handler: PortalHandler):
    async def run() -> list[tuple[int, str]]:
        return [await answer(asked(handler, "thread", text)) for text in (b"first", b"second")]

    (status, first), (_, second) = asyncio.run(run())

    assert status == 200
    assert first.split() == [first.split()[0], "first"]
    assert second.split() == [first.split()[0], "second"]
    assert first.split()[0] != str(threading.get_ident())


@pytest.mark.django_db
def test_a_stream_is_sent_from_the_loop_and_whole(handler: PortalHandler):
    async def run() -> tuple[int, str]:
        return await answer(asked(handler, "stream"))

    assert asyncio.run(run()) == (200, "0 True;1 True;2 True;")


@pytest.mark.django_db
def test_an_error_is_a_page_without_details(handler: PortalHandler):
    async def run() -> tuple[int, str]:
        return await answer(asked(handler, "broken"))

    status, text = asyncio.run(run())

    assert status == 500
    assert "a secret detail" not in text


@pytest.mark.django_db
def test_who_goes_away_does_not_keep_the_next_one_waiting(handler: PortalHandler):
    entered.clear()
    go_on.clear()

    async def run() -> tuple[int, str]:
        gone = asked(handler, "slow")
        working = asyncio.ensure_future(gone.wait(30))
        while not entered.is_set():
            await asyncio.sleep(0.01)
        gone.input_queue.put_nowait({"type": "http.disconnect"})
        try:
            return await answer(asked(handler, "thread", b"next"))
        finally:
            go_on.set()
            await working

    status, text = asyncio.run(run())

    assert (status, text.split()[1]) == (200, "next")


def test_only_so_many_threads_are_kept():
    threads = RequestThreads(most_kept=1)
    with threads.one() as first, threads.one() as second:
        assert first is not second
        assert first.submit(threading.get_ident).result() != second.submit(threading.get_ident).result()
    with threads.one() as again, threads.one() as more:
        assert again is second, "the one that came back first"
        assert more is not first
    with pytest.raises(RuntimeError):
        first.submit(print)
