"""A corpus with a history: made-up notes, written, edited, revoked and deleted while questions are asked and logged."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from ragstone.contracts.identity import document_id, embedding_key
from ragstone.contracts.records import Principal
from ragstone.contracts.tables import DOCUMENT_ACCESS, DOCUMENT_STATS, SILVER_CHUNKS, embeddings
from ragstone.embedding.load import load_embedder
from ragstone.features import materialize
from ragstone.features.access import write_access_online
from ragstone.lake import events
from ragstone.lake.catalog import present_tables
from ragstone.lake.delta import table_path
from ragstone.lake.ops import recorded_run
from ragstone.lake.rewrite import rewritable
from ragstone.runtime.redis_server import online_client
from ragstone.runtime.settings import Settings
from serving.answering import Answer, Question
from serving.deadline import Deadline
from serving.index import build
from serving.services import open_services
from tests.factories import accept_rows, make_access_row, make_chunk_row, make_document_row, make_tombstone, write_rows

PUBLIC, STAFF = (
    Principal(name, frozenset(groups)) for name, groups in (("ann", ["public"]), ("bob", ["public", "staff"]))
)
NOTES = range(40)
COLOURS = ("red", "green", "amber", "violet", "copper", "ivory", "black", "silver")
THINGS = ("lantern", "anvil", "loom", "bell", "kettle", "compass", "ladder", "barrel", "harp", "saddle")
PLACES = ("mill", "harbour", "chapel", "orchard", "quarry", "bakery", "lighthouse", "stable")


def text_of(number: int, version: int = 0) -> str:
    """Return the text of a note, another one for another version."""
    chosen = random.Random(f"{number}/{version}")
    colour, thing, place = (chosen.choice(words) for words in (COLOURS, THINGS, PLACES))
    return f"Note {number}: the {colour} {thing} stands in the {place} since {1700 + chosen.randrange(300)}."


def questions(count: int, seed: int) -> list[str]:
    """Return distinct questions."""
    chosen, found = random.Random(seed), dict[str, None]()
    while len(found) < count:
        found[f"Where is the {chosen.choice(COLOURS)} {chosen.choice(THINGS)} of {1700 + chosen.randrange(300)}?"] = (
            None
        )
    return list(found)


def uri(number: int) -> str:
    """Return the address of a note."""
    return f"note-{number}.md"


def write_notes(
    settings: Settings, numbers: Sequence[int], version: int = 0, acl: tuple[str, ...] = ("public",)
) -> None:
    """Write a version of some notes, as preprocess and embed would, now."""
    now = {"event_timestamp": datetime.now(UTC), "created_timestamp": datetime.now(UTC)}
    root, embedder = settings.lake_root, load_embedder(settings)
    chunks = [make_chunk_row(text_of(number, version), uri(number), **now) for number in numbers]
    write_rows(root, SILVER_CHUNKS, chunks)
    write_rows(root, DOCUMENT_ACCESS, [make_access_row(uri(number), acl=list(acl), **now) for number in numbers])
    write_rows(root, DOCUMENT_STATS, [_stats_row(number, text_of(number, version), now) for number in numbers])
    vectors = embedder.encode([chunk["text"] for chunk in chunks])
    rows = [_embedding_row(settings, chunk, vector.tolist()) for chunk, vector in zip(chunks, vectors, strict=True)]
    write_rows(root, space_of(settings), rows)


def end_chunks(settings: Settings, numbers: Sequence[int], version: int = 0) -> None:
    """End the chunks of a version of some notes, now."""
    now = {"event_timestamp": datetime.now(UTC), "created_timestamp": datetime.now(UTC)}
    keys = [make_chunk_row(text_of(number, version), uri(number))["chunk_id"] for number in numbers]
    for spec in (SILVER_CHUNKS, space_of(settings)):
        write_rows(settings.lake_root, spec, [make_tombstone(spec, key, **now) for key in keys])


def revoke(settings: Settings, number: int) -> None:
    """Take a note from the public, in the lake and online at once."""
    row = make_access_row(
        uri(number), acl=["staff"], event_timestamp=datetime.now(UTC), created_timestamp=datetime.now(UTC)
    )
    write_rows(settings.lake_root, DOCUMENT_ACCESS, [row])
    write_access_online(settings, [row])


def space_of(settings: Settings) -> Any:
    """Return the contract of the served space."""
    spec = load_embedder(settings).spec
    return embeddings(spec.space, spec.dim)


def bring_up(settings: Settings, run_id: str) -> None:
    """Materialize and index what the lake has."""
    accept_rows(settings.lake_root)
    materialize.run(settings, run_id)
    build.run(settings, run_id)


def ask_all(settings: Settings, texts: Sequence[str], principal: Principal = PUBLIC) -> list[Answer]:
    """Ask the service's own answerer, so that events are logged as they always are."""

    async def answers() -> list[Answer]:
        services = open_services(settings)
        deadline = Deadline.after_ms(600_000)
        try:
            return [await services.answerer.answer(Question(text, principal, None, deadline)) for text in texts]
        finally:
            await services.close()

    return asyncio.run(answers())


def lose_everything_but_rows(settings: Settings) -> None:
    """Drain the events, then compact and vacuum every table, flush Redis and remove every snapshot."""
    recorded_run("drain", events.run, settings, "run-drain")
    for spec in present_tables(settings.lake_root):
        table = DeltaTable(str(table_path(settings.lake_root, spec)))
        table.optimize.compact()
        table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    with online_client(settings) as client:
        client.flushall()
    shutil.rmtree(settings.index_root)


def rewrite(settings: Settings, spec: Any, key: str, **changes: Any) -> None:
    """Change a row in place, its times and its key as they were: history itself is edited."""
    with rewritable(settings.lake_root, spec) as table:
        [name] = spec.keys
        rows = [row for row in table.to_pyarrow_table().to_pylist() if row[name] == key]
        table.delete(f"{name} = '{key}'")
    write_rows(settings.lake_root, spec, [{**row, **changes} for row in rows])


def _embedding_row(settings: Settings, chunk: dict[str, Any], vector: list[float]) -> dict[str, Any]:
    spec = load_embedder(settings).spec
    versioned = ("chunk_id", "text_hash", "active", "event_timestamp", "created_timestamp", "run_id")
    return {
        **{name: chunk[name] for name in versioned},
        "embedding_key": embedding_key(chunk["text_hash"], spec.encoder_hash),
        "model_id": spec.model_id,
        "model_hash": spec.model_hash,
        "dim": spec.dim,
        "embedding": vector,
    }


def _stats_row(number: int, text: str, times: dict[str, datetime]) -> dict[str, Any]:
    row = make_document_row(text, uri(number), **times)
    names = ("document_id", "title", "source", "source_uri", "language", "source_modified_at", "active", "run_id")
    counts = {"char_count": len(text), "chunk_count": 1, "token_count": 20, "change_count": 0}
    return {**{name: row[name] for name in names}, **times, **counts}


def chunk_of(number: int, version: int = 0) -> str:
    """Return the chunk of a note's version."""
    return str(make_chunk_row(text_of(number, version), uri(number))["chunk_id"])


def document_of(number: int) -> str:
    """Return a note's document."""
    return document_id("notes", uri(number))


def copied_lake(settings: Settings, home: Path) -> Settings:
    """Return settings of a home of its own with the same lake, for a test that changes it."""
    shutil.copytree(settings.lake_root, home / "lake")
    return replace_home(settings, home)


def replace_home(settings: Settings, home: Path) -> Settings:
    """Return the same settings for another home."""
    return settings.model_copy(update={"home": home})
