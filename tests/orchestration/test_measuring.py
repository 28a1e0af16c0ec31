import pytest

from ragstone.runtime.errors import EXIT_USAGE


@pytest.mark.parametrize("arguments", [("eval",), ("tune", "abstain")])
def test_a_folder_that_is_no_judged_set_is_refused_by_name(command, tmp_path, arguments):
    told = command("--json", *arguments, tmp_path)

    assert told.code in (1, EXIT_USAGE)
    assert str(tmp_path) in told.document["error"]["where"]


def test_figures_are_measured_from_a_clone_alone(command, monkeypatch, tmp_path):
    monkeypatch.setattr("orchestration.cli.bench._PROJECT", tmp_path)

    told = command("--json", "bench")

    assert told.code == EXIT_USAGE
    assert told.document["error"]["where"] == str(tmp_path)
