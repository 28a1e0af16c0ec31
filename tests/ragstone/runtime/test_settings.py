from pathlib import Path

import pytest

from ragstone.runtime.errors import ConfigError
from ragstone.runtime.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    import os

    for name in list(os.environ):
        if name.startswith("RAGSTONE_"):
            monkeypatch.delenv(name)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


@pytest.fixture
def conf(tmp_path):
    write(tmp_path / "conf/base.yaml", "serving: {top_k: 1, port: 1, session_turns: 1, deadline_ms: 1, host: base}\n")
    write(tmp_path / "conf/staging.yaml", "serving: {top_k: 2, port: 2, session_turns: 2, deadline_ms: 2}\n")
    write(tmp_path / "home/conf.yaml", "serving: {top_k: 3, port: 3, session_turns: 3}\n")
    return tmp_path / "conf"


def test_each_layer_wins_over_those_below_it(conf, tmp_path, monkeypatch):
    monkeypatch.setenv("RAGSTONE_SERVING_TOP_K", "4")
    monkeypatch.setenv("RAGSTONE_SERVING_PORT", "4")
    serving = load_settings(home=tmp_path / "home", env="staging", conf=conf, serving={"top_k": 5}).serving
    layers = (serving.top_k, serving.port, serving.session_turns, serving.deadline_ms, serving.host)
    assert layers == (5, 4, 3, 2, "base")


def test_a_misspelt_key_names_its_file_and_the_nearest_setting(conf, tmp_path):
    write(tmp_path / "home/conf.yaml", "serving: {top_kk: 3}\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(home=tmp_path / "home", conf=conf)
    facts = caught.value.facts()
    assert facts["where"] == str(tmp_path / "home/conf.yaml")
    assert (facts["got"], facts["wanted"]) == ("top_kk", "'top_k', perhaps")


def test_a_misspelt_key_inside_a_source_is_refused(conf, tmp_path):
    write(tmp_path / "home/conf.yaml", "sources: {handbook: {root: /tmp, inclde: ['*.md']}}\n")
    with pytest.raises(ConfigError, match=r"sources\.handbook\.inclde") as caught:
        load_settings(home=tmp_path / "home", conf=conf)
    assert caught.value.wanted == "'include', perhaps"


def test_a_misspelt_variable_is_refused(conf, tmp_path, monkeypatch):
    monkeypatch.setenv("RAGSTONE_SERVNG_TOP_K", "4")
    with pytest.raises(ConfigError) as caught:
        load_settings(home=tmp_path / "home", conf=conf)
    assert caught.value.wanted == "'RAGSTONE_SERVING_TOP_K', perhaps"


def test_a_wrong_value_says_what_was_wanted(conf, tmp_path):
    with pytest.raises(ConfigError, match=r"serving\.top_k") as caught:
        load_settings(home=tmp_path / "home", conf=conf, serving={"top_k": "many"})
    assert caught.value.got == "many"
    assert "integer" in str(caught.value.wanted)


def test_a_file_that_is_no_yaml_is_named(conf, tmp_path):
    write(tmp_path / "home/conf.yaml", "serving: {top_k: [\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(home=tmp_path / "home", conf=conf)
    assert caught.value.where == str(tmp_path / "home/conf.yaml")


def test_paths_are_absolute_and_the_model_is_frozen(conf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = load_settings(home=Path("home"), conf=conf)
    assert settings.home == tmp_path / "home"
    with pytest.raises(ValueError, match="frozen"):
        settings.env = "other"


def test_secrets_do_not_show(conf, tmp_path, monkeypatch):
    monkeypatch.setenv("RAGSTONE_LLM_API_KEY", "canary-1234")
    settings = load_settings(home=tmp_path / "home", conf=conf)
    assert "canary" not in repr(settings)
    assert "canary" not in settings.model_dump_json()


def test_the_answer_hash_follows_what_shapes_answers_only():
    assert Settings(log={"level": "debug"}).answer_hash() == Settings().answer_hash()
    assert Settings(serving={"top_k": 9}).answer_hash() != Settings().answer_hash()
