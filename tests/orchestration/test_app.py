import subprocess
import sys

import pytest

from orchestration.cli import app
from orchestration.cli.lazy import _load
from ragstone.runtime import errors

HEAVY = ("pyspark", "feast", "faiss", "onnxruntime", "deltalake", "duckdb", "pandas", "numpy", "pydantic", "fastapi")


def test_every_listed_command_exists_under_its_name():
    for entry in app.COMMANDS:
        assert _load(entry).help, entry.name


def test_help_lists_every_command_and_the_exit_codes(command):
    told = command("--help", at_home=False)

    assert told.code == 0
    assert all(f" {entry.name} " in told.out for entry in app.COMMANDS)
    assert "3 quality gate blocked" in " ".join(told.out.split())


def test_help_imports_nothing_heavy():
    check = (
        "import sys; from orchestration.cli import app\n"
        "try: app.main(['--help'])\n"
        "except SystemExit: pass\n"
        f"sys.exit(', '.join(set(sys.modules) & {set(HEAVY)!r}) or 0)"
    )
    ended = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stderr) == (0, "")


def test_without_a_command_the_help_is_shown_as_misuse(command):
    told = command(at_home=False)

    assert told.code == errors.EXIT_USAGE
    assert "Usage: ragstone" in told.out


def test_a_misspelt_command_is_refused_with_the_nearest(command):
    told = command("documnets")

    assert told.code == errors.EXIT_USAGE
    assert "documents" in told.err
    assert "next: ragstone --help" in told.err


def test_a_misspelt_option_is_json_for_programs(command):
    told = command("--json", "run", "--frm", "embed")

    assert told.code == errors.EXIT_USAGE
    assert told.document["error"]["kind"] == "UsageError"
    assert told.document["error"]["next"] == "ragstone run --help"


def test_a_misspelt_setting_names_file_and_key(command, home):
    (home / "conf.yaml").write_text("serving: {topk: 3}\n")

    told = command("--json", "stop")

    assert told.code == errors.EXIT_USAGE
    assert told.document["error"] == {
        "kind": "ConfigError",
        "what": "there is no setting serving.topk",
        "where": str(home / "conf.yaml"),
        "got": "topk",
        "wanted": "'top_k', perhaps",
        "next": told.document["error"]["next"],
    }


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.BadInputError("bad"), 1),
        (errors.UsageError("bad"), 2),
        (errors.QualityGateError("blocked", failed_rules=("RowCount > 0",), report="r.json"), 3),
        (errors.IndexGateError("blocked", failed_checks=("not_empty",)), 3),
        (errors.DependencyUnavailableError("gone"), 4),
    ],
)
def test_each_kind_of_error_has_its_exit_code(command, monkeypatch, error, code):
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("orchestration.runner.run_step", fail)

    told = command("run", "--to", "ingest")

    assert told.code == code
    assert told.err.endswith(f"error: {error}\n")


def test_an_unforeseen_error_is_not_hidden(command, monkeypatch):
    def fail(*_: object) -> None:
        raise ZeroDivisionError("unforeseen")

    monkeypatch.setattr("orchestration.runner.run_step", fail)

    with pytest.raises(ZeroDivisionError):
        app.main(["run", "--to", "ingest"])
