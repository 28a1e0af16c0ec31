"""A purge on a home that the pipeline made: nothing is left, and nothing brings the document back."""

from __future__ import annotations

import pytest

from orchestration.purge import proof
from orchestration.purge.parts import purge
from ragstone.lake import purge_record
from ragstone.lake.delta import open_table, table_version
from ragstone.lake.documents import bronze_state
from ragstone.lake.purge_collect import collect
from ragstone.lake.replay import replay_landing
from tests.promises.company import Company


@pytest.mark.spark
def test_a_purged_document_leaves_no_trace_and_its_unchanged_file_does_not_bring_it_back(company: Company):
    settings, kiln = company.settings, company.document_id("kiln.md")
    record = purge_record.begin(kiln)
    collect(settings, record)
    configuration = _configuration(company)
    assert "beech wood" in company.texts("How was the kiln fired?")

    results = {part.name: result for part, result in purge(settings, kiln, "purging")}

    assert results["tables"].details["rows"]["bronze.documents"] == 1
    assert proof.prove(settings, record).findings == []
    assert "beech wood" not in company.texts("How was the kiln fired?")
    assert "Skarvik" in company.texts("When does the ferry leave?")
    assert _configuration(company) == configuration

    # The file still lies in its folder, and something else has changed.
    company.write("bees.md", "# Bees\n\nA hive of the upland bee winters on sixteen kilograms of honey.\n")
    outcomes = company.run()

    assert outcomes["ingest"].accepted == 1
    assert bronze_state(settings)[kiln].change == "deleted"
    assert proof.prove(settings, record).findings == []
    assert "sixteen" in company.texts("How much honey does a hive need?")
    assert {result.status for result in company.run().values()} == {"unchanged"}
    assert replay_landing(settings).written == 0


def _configuration(company: Company) -> dict[str, dict[str, str]]:
    root = company.settings.lake_root
    present = [spec for spec in company.tables if table_version(root, spec) >= 0]
    return {spec.name: dict(open_table(root, spec).metadata().configuration) for spec in present}
