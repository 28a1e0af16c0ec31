"""Promises 1, 2, 3 and 9: what runs of the pipeline keep, whatever happens to them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ragstone.contracts.tables import (
    SILVER_CHUNKS,
    SILVER_DOCUMENTS,
    TableSpec,
)
from ragstone.lake import quarantine, read
from ragstone.runtime.errors import RagstoneError
from tests.business_rows import business_rows, silver_tables
from tests.promises.company import Company, branch
from tests.promises.keeping import promised


class Killed(BaseException):
    """A process that ends here; not an Exception, because nothing handles a kill."""


def check_rerun(company: Company) -> None:
    """Promise 1: a rerun with nothing changed embeds nothing and writes nothing outside ops."""
    before = company.fingerprint()
    results = company.run()
    after = company.fingerprint()
    changed = sorted(str(name) for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    promised(not changed, f"a rerun changed {changed}")
    busy = {name: result.status for name, result in results.items() if result.status != "unchanged"}
    promised(not busy, f"steps of a rerun did something: {busy}")


def check_counts(company: Company) -> None:
    """Promise 2: every step accounts for every unit it reads, counted here by other means."""
    company.write("lamp.md", "# The lamp\n\nThe harbour lamp burns rapeseed oil.\n")
    company.write("photo.txt", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(64))
    company.write("bees.md", "# Bees\n\nA hive of the upland bee winters on fifteen kilograms of honey.\n")
    results = company.run()
    files = [path for path in company.folder.rglob("*") if path.is_file()]
    expected = {
        # (read, accepted, quarantined)
        "ingest": (len(files), 2, 1),
        "validate": (2, 2, 0),
        "preprocess": (len(files) - 1, 2, 0),
        "index": (_living(company, SILVER_CHUNKS), _living(company, SILVER_CHUNKS), 0),
        "materialize": (_keys_of_views(company), results["materialize"].accepted, 0),
    }
    for step, counts in expected.items():
        result = results[step]
        got = (result.accepted + result.unchanged + result.quarantined, result.accepted, result.quarantined)
        promised(got == counts, f"{step} counted {got}, there were {counts}")
    embedded = results["embed"]
    promised(embedded.accepted == embedded.written, f"embed took {embedded.accepted} and wrote {embedded.written}")


def check_kill(company: Company, kill: Callable[[pytest.MonkeyPatch], None]) -> None:
    """Promise 3: after a kill readers see the old version, and the rerun equals a run that was never killed."""
    company.write(
        "kiln.md", "# The kiln\n\nThe new kiln at Aldermoor is fired with gas. It reaches 1300 degrees by noon.\n"
    )
    company.run(last="ingest")
    twin = branch(company, company.folder.parent / "twin")
    twin.run("validate")
    served = company.snapshot.manifest.version
    with pytest.MonkeyPatch.context() as patch:
        kill(patch)
        with pytest.raises(Killed):
            company.run("validate")
    promised(company.snapshot.manifest.version == served, "a run that was killed changed what is served")
    company.run("validate")
    for spec in silver_tables(company.settings):
        ours, clean = (business_rows(world.settings.lake_root, spec) for world in (company, twin))
        promised(ours == clean, f"{spec.name} after a kill differs from a clean run's")
    indexed = [world.snapshot.rows().to_pylist() for world in (company, twin)]
    promised(indexed[0] == indexed[1], "the index after a kill differs from a clean run's")


def check_bad_input(company: Company) -> None:
    """Promise 9: bad input is set aside with what, where, got and wanted, and its neighbours arrive."""
    bad = {
        "empty.md": b"",
        "binary.txt": b"\x7fELF" + bytes(range(256)),
        "bomb.html": b"<div>" * 200_000 + b"boom",
    }
    for name, content in bad.items():
        company.write(name, content)
    company.write("lamp.md", "# The lamp\n\nThe harbour lamp burns rapeseed oil.\n")
    try:
        company.run()
    except RagstoneError as stopped:
        promised(False, f"bad input stopped the batch: {stopped}")
    promised("rapeseed" in company.texts("What does the harbour lamp burn?"), "a good neighbour did not arrive")
    entries = {row["document_id"]: row for row in quarantine.open_entries(company.settings.lake_root).to_pylist()}
    for name in bad:
        entry = entries.get(company.document_id(name), {"reason": ""})
        promised("got" in entry["reason"] and "wanted" in entry["reason"], f"{name} is not in quarantine with a reason")


def _living(company: Company, spec: TableSpec) -> int:
    return read.state(company.settings.lake_root, spec, columns=spec.keys).num_rows


def _keys_of_views(company: Company) -> int:
    views = [spec for spec in silver_tables(company.settings) if spec is not SILVER_DOCUMENTS]
    return sum(read.newest_rows(company.settings.lake_root, spec, columns=spec.keys).num_rows for spec in views)
