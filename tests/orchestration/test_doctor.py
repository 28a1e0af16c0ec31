import json

import pytest

from orchestration import doctor
from ragstone.runtime.errors import EXIT_DEPENDENCY
from ragstone.runtime.settings import load_settings


def findings_of(settings):
    return {finding.check: finding for finding in doctor.examine(settings)}


def test_a_new_home_misses_nothing_and_names_the_steps_to_come(settings):
    found = findings_of(settings)

    assert [name for name, finding in found.items() if finding.status == doctor.MISSING] == []
    assert found["sources"].mend == "ragstone init FOLDER"
    assert found["index"].mend == "ragstone run"
    assert found["registry"].mend == "ragstone features apply"


def test_set_up_that_was_never_run_is_named_with_its_commands(home, tmp_path):
    found = findings_of(load_settings(home=home, assets=tmp_path / "empty"))

    assert found["jars"].status == doctor.MISSING
    assert "python -m ragstone.runtime.jars" in found["jars"].mend
    assert found["model"].status == doctor.MISSING
    assert "python -m ragstone.embedding.export" in found["model"].mend
    assert found["redis"].status == doctor.OK


def test_a_redis_that_is_not_there_is_named_with_its_address(home):
    found = findings_of(load_settings(home=home, redis={"url": "redis://127.0.0.1:1"}))

    assert found["redis"].status == doctor.MISSING
    assert "127.0.0.1:1" in found["redis"].found
    assert found["registry"].status != doctor.OK


def test_a_java_of_another_version_is_named(home, tmp_path):
    found = findings_of(load_settings(home=home, spark={"java_home": tmp_path}))

    assert found["java"].status == doctor.MISSING
    assert str(tmp_path) in found["java"].found
    assert found["java"].mend


def test_a_source_whose_folder_is_gone_is_named(home, tmp_path):
    found = findings_of(load_settings(home=home, sources={"notes": {"root": tmp_path / "gone"}}))

    assert found["sources"].status == doctor.MISSING
    assert str(tmp_path / "gone") in found["sources"].found


def test_a_language_model_that_does_not_answer_is_named(home):
    found = findings_of(load_settings(home=home, llm={"url": "http://127.0.0.1:1/v1"}))

    assert found["language model"].status == doctor.MISSING


def test_a_broken_index_pointer_is_a_finding_not_a_crash(settings):
    settings.index_root.mkdir()
    (settings.index_root / "CURRENT").write_text("{")

    assert findings_of(settings)["index"].status == doctor.MISSING


@pytest.mark.parametrize("as_json", [True, False])
def test_the_command_exits_with_4_when_something_is_missing(command, monkeypatch, tmp_path, as_json):
    monkeypatch.setenv("RAGSTONE_ASSETS", str(tmp_path / "empty"))

    told = command(*(["--json"] if as_json else []), "doctor")

    assert told.code == EXIT_DEPENDENCY
    assert "ragstone.runtime.jars" in (json.dumps(told.document) if as_json else "".join(told.out.split()))
