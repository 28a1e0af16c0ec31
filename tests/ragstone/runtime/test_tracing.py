from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ragstone.runtime import tracing


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    return exporter


def test_spans_nest_and_carry_attributes(exported: InMemorySpanExporter):
    with tracing.span("run", step="ingest"), tracing.span("commit", rows=3):
        pass

    inner, outer = exported.get_finished_spans()
    assert (inner.name, dict(inner.attributes or {})) == ("commit", {"rows": 3})
    assert (outer.name, dict(outer.attributes or {})) == ("run", {"step": "ingest"})
    assert inner.parent is not None
    assert inner.parent.span_id == outer.get_span_context().span_id


def test_an_exception_marks_the_span_and_goes_on(exported: InMemorySpanExporter):
    with pytest.raises(ValueError, match="broken"), tracing.span("run"):
        raise ValueError("broken")

    (span,) = exported.get_finished_spans()
    assert span.status.status_code is trace.StatusCode.ERROR
