import shutil

import pytest

from ragstone.runtime.errors import ConfigError
from ragstone.runtime.settings import load_settings
from spark_jobs.quality.rulesets import load_rulesets, sources_with_rules

DOCUMENTS = "bronze.documents"


@pytest.fixture
def ruled(settings, home, tmp_path):
    """Return a function that writes rules into a copy of the conf and returns its settings."""
    conf = tmp_path / "conf"
    shutil.copytree(settings.conf, conf)

    def write(**rules):
        for name, text in rules.items():
            source, _, kind = name.partition("_")
            file = conf / "quality" / "sources" / source / f"{DOCUMENTS}.{kind}.dqdl"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return load_settings(home=home, conf=conf)

    return write


def test_every_dataset_has_rules_of_each_severity_and_none_of_a_source(settings):
    for dataset in (DOCUMENTS, "silver.chunks", "silver.embeddings"):
        rules = load_rulesets(settings, dataset)
        assert rules.rows
        assert rules.gate
        assert rules.warn
        assert rules.watched
        assert sources_with_rules(settings, dataset) == []
        assert not any("where" in rule for rule in (*rules.rows, *rules.gate, *rules.warn))


def test_rules_of_a_source_join_those_of_the_table_when_its_rows_are_there(ruled):
    settings = ruled(wiki_rows='Rules = [ ColumnValues "size_bytes" > 9 ]', feed_warn="Rules = [ RowCount > 3 ]")
    rules = load_rulesets(settings, DOCUMENTS)
    assert sources_with_rules(settings, DOCUMENTS) == ["feed", "wiki"]
    wiki = rules.applying_to({"wiki", "notes"})
    assert wiki.rows == (*rules.rows, 'ColumnValues "size_bytes" > 9 where "source = \'wiki\'"')
    assert (wiki.gate, wiki.warn) == (rules.gate, rules.warn)
    neither = rules.applying_to({"notes"})
    assert (neither.rows, neither.gate, neither.warn) == (rules.rows, rules.gate, rules.warn)


def test_a_table_needs_no_warnings(ruled):
    settings = ruled()
    (settings.conf / "quality" / f"{DOCUMENTS}.warn.dqdl").unlink()
    rules = load_rulesets(settings, DOCUMENTS)
    assert (rules.warn, rules.watched) == ((), ())
    assert rules.gate


def test_a_source_can_be_taken_out_of_a_rule_of_the_table(ruled):
    settings = ruled(wiki_gate="# without: RowCount > 0\nRules = []")
    rules = load_rulesets(settings, DOCUMENTS)
    bound = "RowCount > 0 where \"coalesce(source, '') not in ('wiki')\""
    assert rules.applying_to({"wiki", "notes"}).gate == (bound, *rules.gate[1:])
    # About no rows at all the rule would fail.
    assert rules.applying_to({"wiki"}).gate == rules.gate[1:]


def test_an_exemption_from_a_rule_that_is_not_there_is_refused(ruled):
    with pytest.raises(ConfigError, match="does not have") as refused:
        load_rulesets(ruled(wiki_gate="# without: RowCount > 1\nRules = []"), DOCUMENTS)
    assert "sources/wiki" in refused.value.where


def test_the_identity_changes_with_the_rules_of_any_source(ruled):
    hashes = {load_rulesets(ruled(), DOCUMENTS).hash}
    hashes.add(load_rulesets(ruled(wiki_rows="Rules = [ RowCount > 1 ]"), DOCUMENTS).hash)
    hashes.add(load_rulesets(ruled(wiki_rows="Rules = [ RowCount > 2 ]"), DOCUMENTS).hash)
    assert len(hashes) == 3
