from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider

from ragstone.runtime.logging import configure_logging, get_logger
from ragstone.runtime.settings import LogSettings


@pytest.fixture(autouse=True)
def undone() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    printed = capsys.readouterr()
    assert printed.out == ""
    return [json.loads(line) for line in printed.err.splitlines()]


def test_facts_come_out_as_json_on_standard_error(capsys):
    configure_logging(LogSettings(format="json"))

    get_logger("ragstone.a").info("files listed", files=3, source="docs")

    (line,) = logged(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "files listed", "files": 3, "source": "docs", "level": "info", "logger": "ragstone.a"}


def test_the_level_holds_for_us_and_for_libraries(capsys):
    configure_logging(LogSettings(format="json", level="warning"))

    get_logger("ragstone.a").info("not shown")
    logging.getLogger("library").info("not shown")
    logging.getLogger("library").warning("shown %d", 1)

    assert [line["event"] for line in logged(capsys)] == ["shown 1"]


def test_an_exception_keeps_its_traceback(capsys):
    configure_logging(LogSettings(format="json"))

    try:
        raise ValueError("broken")
    except ValueError:
        get_logger("ragstone.a").exception("it failed")

    (line,) = logged(capsys)
    assert "ValueError: broken" in str(line["exception"])


def test_lines_for_people_name_the_facts(capsys):
    configure_logging(LogSettings(format="console"))

    get_logger("ragstone.a").warning("files listed", files=3)

    printed = capsys.readouterr().err
    assert "files listed" in printed
    assert "files" in printed
    assert not printed.startswith("{")


def test_a_line_inside_a_span_names_its_trace(capsys):
    configure_logging(LogSettings(format="json"))

    with TracerProvider().get_tracer("test").start_as_current_span("step") as span:
        get_logger("ragstone.a").info("inside")
    get_logger("ragstone.a").info("outside")

    inside, outside = logged(capsys)
    assert inside["trace_id"] == f"{span.get_span_context().trace_id:032x}"
    assert "trace_id" not in outside


def test_a_process_that_configured_nothing_prints_nothing_to_standard_output():
    script = "from ragstone.runtime.logging import get_logger as g; g('x').info('quiet'); g('x').warning('loud')"

    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert ran.stdout == ""
    assert "loud" in ran.stderr
    assert "quiet" not in ran.stderr
