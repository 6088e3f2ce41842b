"""Logs: one line an event, readable on a terminal, JSON where a machine reads (FTPORTAL_LOG_JSON=1)."""

import logging
import logging.config
import os
import sys

import structlog

from ftportal.environment import env_bool


def configure(*, debug: bool) -> None:
    """Route the standard library's and structlog's events through one formatter to standard error."""
    as_json = env_bool("FTPORTAL_LOG_JSON", default=False)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
    ]
    # `ftportal up` puts the time and the program's name before every line that it relays.
    if as_json or "FTPORTAL_SUPERVISOR_PID" not in os.environ:
        shared.append(structlog.processors.TimeStamper(fmt="iso" if as_json else "%H:%M:%S", utc=as_json))
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        # Plain tracebacks: the rich ones print local variables, which may hold secrets and people's data.
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
        )
    )
    final: list[structlog.typing.Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if as_json:
        final.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "line": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": shared,
                    "processors": [*final, renderer],
                }
            },
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
            "root": {"handlers": ["stderr"], "level": "INFO"},
            "loggers": {
                "django.request": {"level": "ERROR"},
                "axes": {"level": "WARNING"},
                "httpx": {"level": "WARNING"},
                "httpx2": {"level": "WARNING"},
                "celery.worker.strategy": {"level": "WARNING"},
                "celery.app.trace": {"level": "WARNING"},
                "celery.beat": {"level": "WARNING"},
                "apps": {"level": "DEBUG" if debug else "INFO"},
            },
        }
    )
