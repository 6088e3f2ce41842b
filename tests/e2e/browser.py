"""A real browser, and a watch over everything that goes wrong in it."""

import os
import shutil
from pathlib import Path

from playwright.sync_api import ConsoleMessage, Page, Request, Response

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--no-first-run",
]  # fmt: skip
LEFT_BEHIND = "net::ERR_ABORTED"
"""A request that the browser gave up itself: a stream of a page that was left."""


def executable() -> str:
    """The browser to drive; without one these tests fail, since nothing else proves what they prove."""
    candidates = [os.environ.get("FTPORTAL_CHROMIUM"), "/usr/bin/chromium", shutil.which("chromium")]
    for candidate in candidates:
        if candidate and Path(candidate).exists():
            return candidate
    raise AssertionError(
        "No browser was found: install chromium, or set FTPORTAL_CHROMIUM to the path of one (Chrome will do)."
    )


class Watch:
    """Collects errors of scripts, violations of the content security policy, and requests that failed."""

    def __init__(self, page: Page) -> None:
        self.problems: list[str] = []
        self._expected: set[tuple[int, str]] = set()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.problems.append(f"script error: {error}"))
        page.on("requestfailed", self._request_failed)
        page.on("response", self._response)

    def expect(self, status: int, path: str) -> None:
        """An answer that the test provokes, such as 422 of a form."""
        self._expected.add((status, path))

    def _console(self, message: ConsoleMessage) -> None:
        # Answers of 400 and above come again as responses, with their status.
        if message.type == "error" and "the server responded with a status of" not in message.text:
            self.problems.append(f"console: {message.text} at {message.location}")

    def _request_failed(self, request: Request) -> None:
        if request.failure != LEFT_BEHIND:
            self.problems.append(f"request failed: {request.method} {request.url}: {request.failure}")

    def _response(self, response: Response) -> None:
        path = response.url.split("?")[0]
        expected = any(response.status == status and path.endswith(end) for status, end in self._expected)
        if response.status >= 400 and not expected:
            self.problems.append(f"{response.status} from {response.request.method} {response.url}")
