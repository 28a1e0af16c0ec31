"""`ragstone maintain` and `ragstone rebuild-bronze` as commands."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from orchestration.maintain import Upkeep, maintain
from ragstone.contracts.migrations import before_step
from ragstone.contracts.tables import BRONZE_DOCUMENTS, DOCUMENT_ACCESS
from ragstone.lake.delta import append_rows, table_version
from ragstone.lake.documents import bronze_app_id
from ragstone.lake.landing import LandingZone
from ragstone.runtime.settings import load_settings
from tests.factories import make_access_row, make_bronze_row, make_envelope, write_rows


@pytest.fixture
def grown(home):
    for number in range(5):
        write_rows(home / "lake", DOCUMENT_ACCESS, [make_access_row(f"{number}.md")])
    return home


def test_maintain_prints_each_table_before_and_after(command, grown):
    told = command("maintain")
    assert told.code == 0
    assert "silver.document_access" in told.out
    assert "what was done" in told.out
    told = command("--json", "maintain", "--table", "silver.document_access")
    [table] = told.document["tables"]
    assert (table["before"]["files"], table["after"]["files"], table["rewritten_files"]) == (1, 1, 0)


def test_a_dry_run_leaves_everything_and_records_no_run(command, grown):
    told = command("--json", "maintain", "--dry-run")
    assert told.document["tables"][0]["rewritten_files"] == 5
    assert table_version(grown / "lake", DOCUMENT_ACCESS) == 5
    assert not (grown / "lake" / "ops").exists()


def test_an_unknown_table_is_refused_with_the_known_ones(command, grown):
    told = command("maintain", "--table", "silver.none")
    assert told.code == 2
    assert "silver.document_access" in told.err


def test_old_reports_and_logs_go_and_newer_ones_stay(grown):
    names = ("reports/old.json", "logs/chunks-old.csv", "reports/new.json", "logs/redis.log")
    for name in names:
        path = grown / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
        if "new" not in name:
            os.utime(path, (0, 0))
    settings = load_settings(home=grown)
    told = maintain(settings, Upkeep(dry_run=True))
    assert len(told.files) == 2
    assert all((grown / name).exists() for name in names)
    assert maintain(settings, Upkeep()).files == told.files
    assert [(grown / name).exists() for name in names] == [False, False, True, True]
    assert maintain(settings, Upkeep()).files == ()


def test_a_table_of_an_earlier_version_is_named_and_maintain_mends_it(command, home):
    old = replace(before_step(BRONZE_DOCUMENTS, 0), constraints={})
    append_rows(home / "lake", old, [{name: make_bronze_row().get(name) for name in old.column_names}])
    told = command("documents", "list")
    assert told.code == 1
    assert "ragstone maintain" in told.err
    assert command("--json", "maintain", "--dry-run").document["tables"][0]["migrated"] == ["source_version"]
    assert command("maintain").code == 0
    assert command("documents", "list").code == 0


def test_rebuild_bronze_tells_what_was_lost(command, home):
    settings = load_settings(home=home)
    landing = LandingZone(settings.landing_root)
    lost, kept = (landing.append_batch([make_envelope(name)]) for name in ("lost.md", "kept.md"))
    row = make_bronze_row(kept.envelopes[0], kept.number, run_id=kept.run_id)
    unchecked = replace(BRONZE_DOCUMENTS, constraints={})
    append_rows(settings.lake_root, unchecked, [row], txn=(bronze_app_id(landing), kept.number))
    later = command("--json", "rebuild-bronze", "--from", f"{kept.envelopes[0].fetched_at:%Y-%m-%d %H:%M:%S}")
    assert later.document["written"] in (0, 1)
    told = command("rebuild-bronze")
    assert told.code == 0, told.err
    assert "2 landing batches" in told.out
    assert command("--json", "rebuild-bronze").document["written"] == 0
    assert lost.number == 1
