"""Structured logs, to standard error: lines for people on a terminal, one JSON object per line elsewhere.

Libraries log through the standard module and come out in the same form. A logger obtained before `configure_logging`,
as in a Spark worker, shows warnings and errors only.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, Literal

import structlog
from opentelemetry import trace

from ragstone.runtime.settings import LogSettings

# These tell at `info` what we log ourselves, or write a line per request, per file, per download.
_TALKATIVE: Final = (
    "faiss",
    "feast",
    "httpx",
    "httpx2",
    "httpcore",
    "openai",
    "py4j",
    "urllib3",
    "uvicorn.access",
    "trafilatura",
)


def configure_logging(log: LogSettings) -> None:
    """Send every log record of this process to standard error, in the form and from the level that `log` says."""
    _configure_structlog()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_shared_processors(),
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(_form(log))],
        )
    )
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(log.level.upper())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.root.level))


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module; facts go in as keyword arguments, never into the message."""
    if not structlog.is_configured():
        _configure_structlog()
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def _configure_structlog() -> None:
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared_processors(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def _shared_processors() -> list[structlog.typing.Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        _add_trace_id,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _renderers(form: Literal["console", "json"]) -> list[structlog.typing.Processor]:
    if form == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    return [structlog.dev.ConsoleRenderer(colors=True, exception_formatter=structlog.dev.plain_traceback)]


def _form(log: LogSettings) -> Literal["console", "json"]:
    if log.format == "auto":
        return "console" if sys.stderr.isatty() else "json"
    return log.format


def _add_trace_id(_logger: Any, _method: str, record: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Name the trace a record belongs to, when there is one."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        record["trace_id"] = trace.format_trace_id(context.trace_id)
    return record
