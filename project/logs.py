"""Logs: structlog over the standard library, to stderr. For people on a terminal, JSON for machines."""

from __future__ import annotations

import logging.config
import sys
from typing import Any

import structlog

from project import env

#: What every line goes through, whether it comes from structlog or from `logging`.
_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def logging_settings(*, level: str, style: str) -> dict[str, Any]:
    """Django's LOGGING. `style` is json, human, or auto: human on a terminal."""
    human = style == "human" or (style == "auto" and sys.stderr.isatty())
    renderer: Any = (
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty() and not env.NO_COLOR.is_set(),
            # The pretty one shows local variables, and those may be secrets.
            exception_formatter=structlog.dev.plain_traceback,
        )
        if human
        else structlog.processors.JSONRenderer()
    )
    trail = [] if human else [structlog.processors.format_exc_info]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *trail, renderer],
                "foreign_pre_chain": _SHARED,
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level.upper()},
        "loggers": {
            "django": {"level": "INFO", "propagate": True},
            # One line per request is what an access log is for.
            "django.request": {"level": "ERROR"},
            "django.server": {"handlers": [], "propagate": True},
            # Celery tells each task twice at INFO; its warnings matter.
            "celery": {"level": "WARNING"},
            "kombu": {"level": "WARNING"},
        },
    }


def configure_logs(*, level: str, style: str) -> None:
    """Set up logging for a process that is not started by Django."""
    logging.config.dictConfig(logging_settings(level=level, style=style))


def configure_structlog() -> None:
    """Send structlog's events through `logging`, so that there is one stream and one format."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
