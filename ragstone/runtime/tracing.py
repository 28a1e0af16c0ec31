"""Spans around steps and the stages of a request.

Without `configure_tracing` a span costs next to nothing and records nothing. With it, every log line inside a span
carries its trace id; spans leave the process only through an exporter that the deployment adds to the provider.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from opentelemetry import trace

TRACER_NAME: Final = "ragstone"
Attribute = str | bool | int | float


def configure_tracing(service: str) -> None:
    """Record spans under a service name, unless the deployment has installed a provider of its own before."""
    # The SDK is only needed where traces are wanted: commands that answer at once do without.
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        trace.set_tracer_provider(TracerProvider(resource=Resource.create({"service.name": service})))


@contextmanager
def span(name: str, **attributes: Attribute) -> Iterator[trace.Span]:
    """Open a span as a child of the current one; an exception ends it as failed and goes on its way."""
    tracer = trace.get_tracer(TRACER_NAME)
    with tracer.start_as_current_span(name, attributes=attributes) as opened:
        yield opened
