"""The web application: static files straight from disk, the OpenAI-compatible API, and Django for all the rest."""

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ftportal.settings")

from django.conf import settings
from servestatic import ServeStaticASGI

from ftportal.handler import get_portal_application

django_application = get_portal_application()

from apps.gateway.application import PREFIX  # noqa: E402 - needs the apps that the line above has loaded
from apps.gateway.application import application as gateway  # noqa: E402


async def pages_and_api(scope: Any, receive: Any, send: Any) -> None:
    """`/v1` has no sessions, cookies or pages, so it does not pass through Django's middleware."""
    if scope["type"] == "http" and scope["path"].startswith(f"{PREFIX}/"):
        await gateway(scope, receive, send)
    else:
        await django_application(scope, receive, send)


if settings.DEBUG:
    from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler

    application = ASGIStaticFilesHandler(pages_and_api)  # type: ignore[arg-type]
else:
    application = ServeStaticASGI(
        pages_and_api,
        root=str(settings.STATIC_ROOT),
        prefix=settings.STATIC_URL,
        immutable_file_test=r"\.[0-9a-f]{12}\.[a-z0-9.]+$",
    )
