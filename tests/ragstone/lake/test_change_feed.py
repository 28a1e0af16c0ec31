"""What has changed since a version, as the log tells it, and that following it finds what comparing finds."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from deltalake import DeltaTable

from ragstone.contracts.identity import embedding_key
from ragstone.contracts.records import Rejection
from ragstone.contracts.tables import SILVER_CHUNKS, embeddings
from ragstone.embedding.load import embedding_spec
from ragstone.lake import quarantine
from ragstone.lake.change_feed import changed_keys
from ragstone.lake.commits import commit_path
from ragstone.lake.delta import append_rows, table_path, table_version
from ragstone.lake.pending_embeddings import pending_chunks, pending_embeddings
from spark_jobs.embedding_task import find_task
from tests.factories import at, make_chunk_row, make_tombstone, write_rows


def write_chunk(root, name, minute, active=True):
    times = {"event_timestamp": at(minute), "created_timestamp": at(minute + 0.5)}
    key = make_chunk_row(f"text of {name}")["chunk_id"]
    row = make_chunk_row(f"text of {name}", **times) if active else make_tombstone(SILVER_CHUNKS, key, **times)
    write_rows(root, SILVER_CHUNKS, [row])
    return key


def keys_since(root, version):
    found = changed_keys(root, SILVER_CHUNKS, version)
    return None if found is None else set(found["chunk_id"].to_pylist())


def test_the_keys_of_later_commits_are_told_and_no_others(home):
    first, second = write_chunk(home, "a", 1), write_chunk(home, "b", 2)
    version = table_version(home, SILVER_CHUNKS)
    assert keys_since(home, version) == set()
    third = write_chunk(home, "c", 3)
    write_chunk(home, "b", 4, active=False)
    assert keys_since(home, version) == {second, third}
    assert keys_since(home, 0) == {first, second, third}


def test_a_table_that_does_not_exist_and_a_version_not_reached_tell_nothing(home):
    assert keys_since(home, -1) == set()
    assert keys_since(home, 0) is None


def test_compacting_is_no_change(home):
    for minute, name in enumerate("abc"):
        write_chunk(home, name, minute)
    version = table_version(home, SILVER_CHUNKS)
    DeltaTable(str(table_path(home, SILVER_CHUNKS))).optimize.compact()
    assert table_version(home, SILVER_CHUNKS) == version + 1
    assert keys_since(home, version) == set()
    # The files of the range are still there, though no version needs them any more.
    assert len(keys_since(home, 0)) == 3


def test_beyond_the_log_and_beyond_the_files_the_feed_says_that_it_does_not_tell(home):
    for minute, name in enumerate("abc"):
        write_chunk(home, name, minute)
    version = table_version(home, SILVER_CHUNKS)
    table = DeltaTable(str(table_path(home, SILVER_CHUNKS)))
    table.optimize.compact()
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert keys_since(home, 0) is None
    assert keys_since(home, version) == set()
    table.create_checkpoint()
    commit_path(home, SILVER_CHUNKS, version + 1).unlink()
    assert keys_since(home, version) is None


def embed_all(root: Path, space, task, rejected=()):
    """Do what embed does with what waits: a row for each under the task's transaction, entries for what is rejected."""
    chunks = pending_chunks(root, space, task.chunk_version)
    rows = []
    for chunk in chunks:
        if chunk["chunk_id"] in rejected:
            continue
        row = make_tombstone(space, chunk["chunk_id"], event_timestamp=chunk["event_timestamp"])
        made = {"active": True, "text_hash": chunk["text_hash"], "embedding": [1.0] + [0.0] * (task.spec.dim - 1)}
        made["embedding_key"] = embedding_key(str(chunk["text_hash"]), task.spec.encoder_hash)
        rows.append({**row, **(made if chunk["active"] else {}), "created_timestamp": task.created_at()})
    set_aside = [
        Rejection(step="embed", dataset=space.name, item_key=chunk["chunk_id"], reason="so")
        for chunk in chunks
        if chunk["chunk_id"] in rejected
    ]
    quarantine.set_aside(root, set_aside, "run")
    append_rows(root, replace(space, constraints={}), rows, task.transaction)


@pytest.mark.parametrize("seed", range(4))
def test_following_the_feed_finds_what_comparing_every_chunk_finds(settings, seed):
    chance, root = random.Random(seed), settings.lake_root
    spec = embedding_spec(settings)
    space = embeddings(spec.space, spec.dim)
    followed = 0
    for minute in range(12):
        name = chance.choice("abcdefgh")
        key = write_chunk(root, name, minute, active=chance.random() < 0.7)
        task = find_task(settings, "embed")
        assert task.pending == pending_embeddings(root, space, task.chunk_version, open_keys(root))
        waiting = sorted(pending_chunks(root, space, task.chunk_version, task.changed), key=str)
        assert waiting == sorted(pending_chunks(root, space, task.chunk_version), key=str)
        followed += task.changed is not None
        action = chance.random()
        if action < 0.5 and not task.is_done:
            embed_all(root, space, task, rejected={key} if chance.random() < 0.3 else ())
        elif action < 0.6:
            quarantine.resolve(root, quarantine.open_entries(root)["entry_id"].to_pylist(), "run")
        elif action < 0.7:
            DeltaTable(str(table_path(root, SILVER_CHUNKS))).optimize.compact()
        elif action < 0.75:
            table = DeltaTable(str(table_path(root, SILVER_CHUNKS)))
            table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert followed > 0


def open_keys(root):
    return quarantine.open_entries(root, "embed")["item_key"].to_pylist()
