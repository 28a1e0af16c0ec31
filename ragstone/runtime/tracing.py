"""Spans around steps and the stages of a request.

Without a tracer provider a span costs next to nothing and records nothing. Where the deployment installs one, as
`opentelemetry-instrument` does, spans go where it says, and every log line inside a span carries its trace id.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from opentelemetry import trace

TRACER_NAME: Final = "ragstone"
Attribute = str | bool | int | float


@contextmanager
def span(name: str, **attributes: Attribute) -> Iterator[trace.Span]:
    """Open a span as a child of the current one; an exception ends it as failed and goes on its way."""
    tracer = trace.get_tracer(TRACER_NAME)
    with tracer.start_as_current_span(name, attributes=attributes) as opened:
        yield opened
