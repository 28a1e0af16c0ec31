"""A maintained home is one where nothing is to be done."""

from __future__ import annotations

import pytest

from ragstone.lake import maintenance, read
from ragstone.lake.catalog import present_tables
from ragstone.lake.maintenance import maintain_table, vacuum_now
from tests.promises.company import Company


@pytest.mark.spark
def test_after_maintenance_a_run_does_nothing_and_the_state_is_equal(company: Company, monkeypatch):
    # A young home has few files; here each is worth a commit, and files go as soon as nobody needs them.
    monkeypatch.setattr(maintenance, "_FEWEST_SMALL_FILES", 2)
    company.write("kiln.md", "# The kiln\n\nThe old kiln at Aldermoor burnt down.\n")
    company.run()
    before, state = company.fingerprint(), _state(company)
    rewritten = [_compacted(company, spec) for spec in present_tables(company.settings.lake_root)]
    assert any(rewritten)

    outcomes = company.run()

    assert {result.status for result in outcomes.values()} == {"unchanged"}
    assert _state(company) == state
    after = company.fingerprint()
    assert {name: after[name] for name in after if "." not in name} == {n: before[n] for n in before if "." not in n}
    assert {name for name in before if before[name] != after[name]} <= {spec.name for spec in company.tables}

    company.write("bees.md", "# Bees\n\nA hive of the upland bee winters on sixteen kilograms of honey.\n")
    changed = company.run()
    assert changed["materialize"].accepted < changed["materialize"].rows_in
    assert "sixteen" in company.texts("How much honey does a hive need?")


def _compacted(company, spec):
    root = company.settings.lake_root
    rewritten = maintain_table(root, spec, retain_hours=1).rewritten_files
    vacuum_now(root, spec)
    return rewritten


def _state(company):
    root = company.settings.lake_root
    return {spec.name: _sorted(read.query(root, "SELECT * FROM t", t=spec).to_pylist()) for spec in company.tables}


def _sorted(rows):
    return sorted(map(repr, rows))
