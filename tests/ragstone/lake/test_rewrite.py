"""Tables that were rewritten are read as before, by everyone, also when the rewriting run died."""

from __future__ import annotations

from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from ragstone.contracts.records import StepResult
from ragstone.contracts.tables import DOCUMENT_ACCESS
from ragstone.lake import read, rewrite
from ragstone.lake.delta import append_rows, open_table, table_path
from ragstone.lake.ops import recorded_run
from ragstone.lake.rewrite import rewritable, seal, seal_interrupted
from ragstone.runtime.errors import ContractError
from tests.factories import make_access_row, write_rows

GONE, KEPT = make_access_row("gone.md"), make_access_row("kept.md")


@pytest.fixture
def root(settings):
    append_rows(settings.lake_root, DOCUMENT_ACCESS, [GONE, KEPT], txn=("app", 3))
    return settings.lake_root


def _found(root):
    where = f"document_id IN ('{KEPT['document_id']}', '{GONE['document_id']}')"
    return [row["document_id"] for row in read.newest_rows(root, DOCUMENT_ACCESS, where=where).to_pylist()]


def _types(root):
    files = open_table(root, DOCUMENT_ACCESS).file_uris()
    return {str(pq.read_schema(file.removeprefix("file://")).field("document_id").type) for file in files}


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.delete(f"document_id = '{GONE['document_id']}'"),
        lambda table: table.update(predicate=f"document_id = '{GONE['document_id']}'", updates={"active": "false"}),
    ],
    ids=["delete", "update"],
)
def test_rewritten_rows_can_be_filtered_by_their_texts(root, change):
    with rewritable(root, DOCUMENT_ACCESS) as table:
        change(table)
        assert _types(root) == {"string_view"}
    assert _types(root) == {"string"}
    assert KEPT["document_id"] in _found(root)
    assert open_table(root, DOCUMENT_ACCESS).transaction_version("app") == 3


def test_a_rewritten_table_is_append_only_again(root):
    with rewritable(root, DOCUMENT_ACCESS) as table:
        table.delete(f"document_id = '{GONE['document_id']}'")
    write_rows(root, DOCUMENT_ACCESS, [GONE])
    with pytest.raises(Exception, match="append"):
        DeltaTable(str(table_path(root, DOCUMENT_ACCESS))).delete("true")
    assert seal(root, DOCUMENT_ACCESS) is False


def test_what_a_dead_run_left_open_is_sealed_before_the_next_step_reads_it(root, settings, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(rewrite, "seal", _killed)
        with pytest.raises(KilledError), rewritable(root, DOCUMENT_ACCESS) as table:
            table.delete(f"document_id = '{GONE['document_id']}'")
    assert _types(root) == {"string_view"}

    def step(given, _run_id):
        return StepResult("validate", "ok", "rows", accepted=len(_found(given.lake_root)))

    assert recorded_run("validate", step, settings, "run-1").accepted == 1
    assert open_table(root, DOCUMENT_ACCESS).metadata().configuration["delta.appendOnly"] == "true"
    assert seal_interrupted(root) == []


class KilledError(BaseException):
    pass


def _killed(*_given):
    raise KilledError


def test_there_has_to_be_a_table(home):
    with pytest.raises(LookupError, match="no table"), rewritable(home, DOCUMENT_ACCESS):
        pass
    assert seal(home, DOCUMENT_ACCESS) is False
    assert seal_interrupted(home / "nowhere") == []


def test_a_table_that_is_not_as_its_contract_is_not_rewritten(root):
    other = replace(DOCUMENT_ACCESS, columns=DOCUMENT_ACCESS.columns[:-1])
    with pytest.raises(ContractError, match="other columns"), rewritable(root, other):
        pass
