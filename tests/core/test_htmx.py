"""Answers to htmx: redirects as a header, messages with the fragment, everything else untouched."""

from collections.abc import Callable

import pytest
from django.contrib import messages
from django.contrib.messages.storage.cookie import CookieStorage
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.test import RequestFactory

from apps.core.htmx import HtmxResponseMiddleware

View = Callable[[HttpRequest], HttpResponseBase]


def answer(view: View, *, htmx: bool = True) -> HttpResponseBase:
    request = RequestFactory().get("/page/", headers={"HX-Request": "true"} if htmx else {})
    setattr(request, "_messages", CookieStorage(request))  # noqa: B010 - where the message middleware puts it
    response = HtmxResponseMiddleware(view)(request)
    assert isinstance(response, HttpResponseBase)
    return response


def moved(request: HttpRequest) -> HttpResponse:
    response = HttpResponse(status=302, headers={"Location": "/next/"})
    response.set_cookie("kept", "yes")
    messages.success(request, "Saved.")
    return response


def fragment(request: HttpRequest) -> HttpResponse:
    messages.error(request, "<b>No</b>")
    return HttpResponse("<p>part</p>")


def test_a_redirect_becomes_a_header_and_keeps_its_cookies() -> None:
    response = answer(moved)
    assert (response.status_code, response.headers["HX-Redirect"]) == (204, "/next/")
    assert "Location" not in response.headers
    assert response.cookies["kept"].value == "yes"


def test_a_plain_browser_is_redirected_as_ever() -> None:
    response = answer(moved, htmx=False)
    assert (response.status_code, response.headers["Location"]) == (302, "/next/")


def test_messages_come_with_the_fragment_and_stay_text() -> None:
    response = answer(fragment)
    assert isinstance(response, HttpResponse)
    html = response.content.decode()
    assert html.startswith("<p>part</p>")
    assert 'hx-target="#toasts"' in html
    assert "&lt;b&gt;No&lt;/b&gt;" in html


def test_a_whole_page_is_left_alone() -> None:
    response = answer(fragment, htmx=False)
    assert isinstance(response, HttpResponse)
    assert response.content == b"<p>part</p>"


@pytest.mark.parametrize(
    "make",
    [
        lambda: JsonResponse({"a": 1}),
        lambda: HttpResponse("<p>plain</p>"),
        lambda: StreamingHttpResponse(iter([b"<p>part</p>"])),
    ],
)
def test_nothing_is_added_where_nothing_waits_or_nothing_can_be_added(
    make: Callable[[], HttpResponseBase],
) -> None:
    expected = make()
    response = answer(lambda request: make())
    assert response.getvalue() == expected.getvalue()
