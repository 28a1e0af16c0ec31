import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from orchestration.cli.invocation import Invocation
from orchestration.cli.output import console, emit, show_error, table
from ragstone.runtime.errors import UsageError


@dataclass(frozen=True)
class Inner:
    at: datetime
    path: Path


def drawn(renderable) -> str:
    screen = console()
    screen.file = io.StringIO()
    screen.print(renderable)
    return screen.file.getvalue()


def test_records_become_one_json_document(capsys):
    record = Inner(datetime(2026, 1, 2, tzinfo=UTC), Path("/a"))

    emit(Invocation(as_json=True), {"one": record, "set": {"b", "a"}, "ü": (1.5, None)}, lambda _: None)

    assert json.loads(capsys.readouterr().out) == {
        "one": {"at": "2026-01-02T00:00:00+00:00", "path": "/a"},
        "set": ["a", "b"],
        "ü": [1.5, None],
    }


def test_people_get_what_is_shown_and_no_json(capsys):
    emit(Invocation(), {"one": 1}, lambda screen: screen.print("one is 1"))

    assert capsys.readouterr().out == "one is 1\n"


def test_what_documents_say_is_never_markup():
    text = "a [bold]list[/bold] of [1] :smile: items"

    assert text in drawn(table(f"on {text}", ("what",), [(text,)]))
    assert text in drawn(text)


def test_numbers_are_aligned_right_and_what_is_missing_stays_empty():
    lines = drawn(table(None, ("n",), [(5,), (None,), (12_345,)])).splitlines()

    assert [line.strip("│") for line in lines[3:6]] == ["      5 ", "        ", " 12,345 "]


def test_errors_go_to_standard_error_for_people_and_out_for_programs(capsys):
    error = UsageError("no", got=1, wanted=2, next_step="ragstone --help")

    show_error(Invocation(), error)
    show_error(Invocation(as_json=True), error)

    told = capsys.readouterr()
    assert told.err == "error: no\n  got: 1\n  wanted: 2\n  next: ragstone --help\n"
    assert json.loads(told.out)["error"]["kind"] == "UsageError"


def test_off_a_terminal_tables_keep_their_columns():
    assert console().width == 140
    assert isinstance(console(), Console)
