"""Bronze against the landing zone: what is lost or wrong comes back as it was landed, the rest is not touched."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest

from ragstone.contracts.tables import BRONZE_DOCUMENTS
from ragstone.lake import read, replay
from ragstone.lake.delta import append_rows, open_table, rows_to_table, table_version
from ragstone.lake.documents import bronze_app_id, pending_batches
from ragstone.lake.landing import LandingZone
from ragstone.lake.replay import replay_landing, row_hashes
from ragstone.lake.rewrite import rewritable
from ragstone.runtime.errors import ContractError
from tests.factories import make_bronze_row, make_envelope, write_rows


@pytest.fixture
def landed(settings):
    """Three batches in landing and bronze: two documents, then one changed, then one deleted."""
    landing = LandingZone(settings.landing_root)
    for envelopes in (
        [make_envelope("a.md", source_metadata={"b": "2", "a": "1"}), make_envelope("b.md", source_version="v1")],
        [make_envelope("a.md", content=b"# New", acl=("board", "public"))],
        [make_envelope("b.md", "deleted")],
    ):
        batch = landing.append_batch(envelopes, f"run-{landing.last_batch() + 1}")
        rows = [make_bronze_row(envelope, batch.number, run_id=batch.run_id) for envelope in batch.envelopes]
        append_rows(
            settings.lake_root,
            replace(BRONZE_DOCUMENTS, constraints={}),
            rows,
            txn=(bronze_app_id(landing), batch.number),
        )
    return settings


def _hashes(settings):
    """Return a hash of each row's business columns, told independently of the code under test."""
    columns = ", ".join(name for name in BRONZE_DOCUMENTS.column_names if name != "created_timestamp")
    rows = read.query(settings.lake_root, f"SELECT {columns} FROM t", t=BRONZE_DOCUMENTS).to_pylist()
    return sorted(hashlib.sha256(repr(_ordered(row)).encode()).hexdigest() for row in rows)


def _ordered(row):
    return {
        **row,
        "source_metadata": sorted(row["source_metadata"] or []) if row["source_metadata"] is not None else None,
    }


def _remove(settings, condition):
    with rewritable(settings.lake_root, BRONZE_DOCUMENTS) as table:
        table.delete(condition)


def test_bronze_that_agrees_is_not_touched(landed):
    version = table_version(landed.lake_root, BRONZE_DOCUMENTS)
    found = replay_landing(landed)
    assert (found.batches, found.rows, found.written, found.missing, found.wrong) == (3, 4, 0, (), ())
    assert table_version(landed.lake_root, BRONZE_DOCUMENTS) == version


def test_lost_batches_come_back_as_they_were(landed):
    original = _hashes(landed)
    _remove(landed, "landing_batch <> 2")
    found = replay_landing(landed)
    assert (found.missing, found.wrong, found.written) == ((1, 3), (), 3)
    assert _hashes(landed) == original


@pytest.mark.parametrize(
    "damage",
    [
        lambda table: table.update(predicate="landing_batch = 1", updates={"acl": "make_array('public', 'board')"}),
        lambda table: table.update(predicate="landing_batch = 1", updates={"mime_type": "'text/plain'"}),
        lambda table: table.delete("source_uri = 'b.md' AND landing_batch = 1"),
    ],
    ids=["other groups", "another type", "half a batch"],
)
def test_a_batch_that_differs_is_replaced_and_its_neighbours_stay(landed, damage):
    original = _hashes(landed)
    with rewritable(landed.lake_root, BRONZE_DOCUMENTS) as table:
        damage(table)
    assert _hashes(landed) != original
    found = replay_landing(landed)
    assert (found.missing, found.wrong, found.written) == ((), (1,), 2)
    assert _hashes(landed) == original
    assert replay_landing(landed).written == 0


def test_rows_written_twice_become_one_again(landed):
    original = _hashes(landed)
    [row] = read.query(landed.lake_root, "SELECT * FROM t WHERE landing_batch = 2", t=BRONZE_DOCUMENTS).to_pylist()
    write_rows(landed.lake_root, BRONZE_DOCUMENTS, [{**row, "source_metadata": dict(row["source_metadata"])}])
    assert replay_landing(landed).wrong == (2,)
    assert _hashes(landed) == original


def test_an_interval_replays_its_batches_alone(landed):
    batches = list(LandingZone(landed.landing_root).read_batches())
    moments = [batch.envelopes[0].fetched_at for batch in batches]
    original = _hashes(landed)
    _remove(landed, "landing_batch > 0")
    assert replay_landing(landed, moments[1], moments[2]).missing == (2,)
    assert replay_landing(landed, None, moments[1]).missing == (1,)
    assert replay_landing(landed, moments[2], moments[2] + timedelta(seconds=1)).missing == (3,)
    assert _hashes(landed) == original


def test_batches_that_ingest_has_not_taken_over_are_left_to_it(landed):
    LandingZone(landed.landing_root).append_batch([make_envelope("c.md")])
    assert replay_landing(landed).batches == 3
    assert [batch.number for batch in pending_batches(landed)] == [4]


def test_an_unreadable_table_is_rebuilt_as_a_whole_and_never_in_part(landed):
    original = _hashes(landed)
    for file in (landed.lake_root / BRONZE_DOCUMENTS.path).glob("*.parquet"):
        file.write_bytes(b"not parquet at all")
    version = table_version(landed.lake_root, BRONZE_DOCUMENTS)
    some_time = next(LandingZone(landed.landing_root).read_batches()).envelopes[0].fetched_at
    with pytest.raises(ContractError, match="an interval of it cannot be rebuilt"):
        replay_landing(landed, start=some_time)
    assert table_version(landed.lake_root, BRONZE_DOCUMENTS) == version
    assert replay_landing(landed).written == 4
    assert _hashes(landed) == original


def test_a_replay_that_died_half_way_left_bronze_whole_and_the_next_one_finishes(landed, monkeypatch):
    original = _hashes(landed)
    with rewritable(landed.lake_root, BRONZE_DOCUMENTS) as table:
        table.update(predicate="landing_batch = 1", updates={"mime_type": "'text/plain'"})
    damaged = _hashes(landed)

    class KilledError(BaseException):
        pass

    def killed(*_arguments, **_named):
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(replay, "write_deltalake", killed)
        # What a killed process would not get to do.
        patched.setattr("ragstone.lake.rewrite.seal", lambda *_arguments: False)
        with pytest.raises(KilledError):
            replay_landing(landed)
    assert _hashes(landed) == damaged
    replay_landing(landed)
    assert _hashes(landed) == original
    assert open_table(landed.lake_root, BRONZE_DOCUMENTS).metadata().configuration["delta.appendOnly"] == "true"


def test_bronze_of_another_landing_zone_is_refused(landed):
    (landed.landing_root / "ID").unlink()
    with pytest.raises(ContractError, match="another landing zone"):
        replay_landing(landed)


def test_row_hashes_tell_rows_apart_by_their_business_columns():
    row = make_bronze_row()
    same = rows_to_table(BRONZE_DOCUMENTS, [{**row, "created_timestamp": row["created_timestamp"] + timedelta(days=1)}])
    other = rows_to_table(BRONZE_DOCUMENTS, [{**row, "acl": ["board"]}])
    assert row_hashes(rows_to_table(BRONZE_DOCUMENTS, [row])) == row_hashes(same) != row_hashes(other)
