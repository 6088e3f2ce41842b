"""The web application: Django for pages and APIs, static files straight from disk before it."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ftportal.settings")

from django.conf import settings
from django.core.asgi import get_asgi_application
from servestatic import ServeStaticASGI

django_application = get_asgi_application()

if settings.DEBUG:
    from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler

    application = ASGIStaticFilesHandler(django_application)
else:
    application = ServeStaticASGI(
        django_application,
        root=str(settings.STATIC_ROOT),
        prefix=settings.STATIC_URL,
        immutable_file_test=r"\.[0-9a-f]{12}\.[a-z0-9.]+$",
    )
