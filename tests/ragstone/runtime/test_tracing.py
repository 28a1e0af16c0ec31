from __future__ import annotations

import subprocess
import sys

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


@pytest.mark.parametrize(("configured", "recording"), [(False, "False"), (True, "True")])
def test_spans_record_only_once_configured(configured: bool, recording: str):
    # In a process of its own: a provider cannot be taken back.
    script = (
        "from ragstone.runtime import tracing\n"
        f"if {configured}: tracing.configure_tracing('test')\n"
        "with tracing.span('x') as span: print(span.is_recording())"
    )

    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == recording


def test_a_provider_of_the_deployment_is_left_in_place():
    script = (
        "from opentelemetry import trace\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "own = TracerProvider(); trace.set_tracer_provider(own)\n"
        "from ragstone.runtime import tracing\n"
        "tracing.configure_tracing('test')\n"
        "print(trace.get_tracer_provider() is own)"
    )

    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert (ran.stdout.strip(), ran.stderr) == ("True", "")
