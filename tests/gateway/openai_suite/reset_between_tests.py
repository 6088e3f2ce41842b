"""A pytest plugin for the published tests: each begins with the same things on the server."""

import os
import urllib.request

import pytest


@pytest.fixture(autouse=True)
def server_as_at_the_start():
    root = os.environ["TEST_API_BASE_URL"].removesuffix("/v1")
    urllib.request.urlopen(urllib.request.Request(f"{root}/reset", method="POST"), timeout=30)  # noqa: S310
