"""A small served world: documents in the lake, online and in a published index, by the real parts but without a JVM."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import uvicorn

from ragstone.contracts.identity import chunk_id, document_id, embedding_key, text_hash
from ragstone.contracts.tables import (
    BRONZE_DOCUMENTS,
    DOCUMENT_ACCESS,
    DOCUMENT_STATS,
    QUALITY_RESULTS,
    RUNS,
    SILVER_CHUNKS,
    SILVER_DOCUMENTS,
    embeddings,
)
from ragstone.embedding.load import load_embedder
from ragstone.features import materialize
from ragstone.lake.landing import LandingZone
from ragstone.runtime.settings import Settings, load_settings
from serving.app import create_app
from serving.index import build
from tests import factories
from tests.factories import CHUNKER_HASH, DAY_ZERO, write_rows

READER_KEY, STAFF_KEY, ADMIN_KEY = "key-of-a-reader", "key-of-staff", "key-of-an-admin"
API_KEYS = [
    {"name": name, "sha256": hashlib.sha256(key.encode()).hexdigest(), "groups": groups}
    for name, key, groups in (
        ("reader", READER_KEY, []),
        ("staff", STAFF_KEY, ["staff"]),
        ("administrator", ADMIN_KEY, ["admin"]),
    )
]
ABSTAIN = {"intercept": -5.0, "coefficients": {"cosine": 6.0, "sentence_coverage": 8.0}, "threshold": 0.5}


@dataclass(frozen=True)
class Document:
    source_uri: str
    paragraphs: tuple[str, ...]
    acl: tuple[str, ...] = ("public",)

    @property
    def text(self) -> str:
        return "\n\n".join(self.paragraphs)

    @property
    def document_id(self) -> str:
        return document_id("notes", self.source_uri)

    def chunk_id(self, paragraph: int = 0) -> str:
        return chunk_id(self.document_id, CHUNKER_HASH, text_hash(self.paragraphs[paragraph]), 0)


KILN = Document(
    "kiln.md",
    (
        "The old kiln at Aldermoor was fired with beech wood. It reached 1240 degrees in eleven hours.",
        "Glazes were mixed from river clay and ash.\nPotters called the green one heron glaze.",
    ),
)
FERRY = Document(
    "ferry.md",
    ("The ferry to Skarvik leaves at seven every morning. In winter it carries the post and no passengers.",),
)
BEES = Document("bees.md", ("A hive of the upland bee winters on fourteen kilograms of honey.",))
PAYROLL = Document("payroll.md", ("The payroll password hint is the name of the director's parrot.",), ("staff",))
DOCUMENTS = (KILN, FERRY, BEES, PAYROLL)


def world_settings(home: Path, **sections: Any) -> Settings:
    """Return the settings of a world; `sections` win over its own."""
    serving = {"api_keys": API_KEYS, **sections.pop("serving", {})}
    return load_settings(home=home, serving=serving, abstain=ABSTAIN, **sections)


def fill(settings: Settings) -> None:
    """Put the documents where the pipeline would: landing zone, lake, online store, index."""
    for document in DOCUMENTS:
        put(settings, document)
    _write_ops(settings.lake_root)
    materialize.run(settings, "run-1")
    build.run(settings, "run-1")


def put(settings: Settings, document: Document) -> None:
    """Put one document into the landing zone and the lake, but neither online nor into an index."""
    _land(settings, document)
    _write_silver(settings, document)


@contextmanager
def served(settings: Settings) -> Iterator[httpx2.Client]:
    """Serve the app over real HTTP on the loopback, and return a client without a key."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(create_app(settings), lifespan="on", log_config=None))
        thread = threading.Thread(target=_run, args=(server, listener))
        thread.start()
        try:
            while not server.started and thread.is_alive():
                thread.join(0.01)
            assert server.started, "the service did not start"
            port = listener.getsockname()[1]
            with httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()


def _run(server: uvicorn.Server, listener: socket.socket) -> None:
    # A server whose app refuses to start ends its process; here that is its thread.
    with suppress(SystemExit):
        server.run([listener])


def as_(key: str) -> dict[str, str]:
    """Return the header that shows a key."""
    return {"Authorization": f"Bearer {key}"}


def _land(settings: Settings, document: Document) -> None:
    content = document.text.encode()
    landing = LandingZone(settings.landing_root)
    landing.put_object(content)
    envelope = factories.make_envelope(document.source_uri, content=content, acl=document.acl)
    batch = landing.append_batch([envelope], "run-1")
    row = factories.make_bronze_row(batch.envelopes[0], batch.number)
    write_rows(settings.lake_root, BRONZE_DOCUMENTS, [row])


def _write_silver(settings: Settings, document: Document) -> None:
    root, uri = settings.lake_root, document.source_uri
    write_rows(root, SILVER_DOCUMENTS, [factories.make_document_row(document.text, uri)])
    write_rows(root, DOCUMENT_ACCESS, [factories.make_access_row(uri, acl=list(document.acl))])
    chunks = [_chunk_row(document, ordinal) for ordinal in range(len(document.paragraphs))]
    write_rows(root, SILVER_CHUNKS, chunks)
    write_rows(root, DOCUMENT_STATS, [_stats_row(document)])
    embedder = load_embedder(settings)
    table = embeddings(embedder.spec.space, embedder.spec.dim)
    write_rows(root, table, [_embedding_row(chunk, embedder) for chunk in chunks])
    factories.accept_rows(root, table.name)


def _chunk_row(document: Document, ordinal: int) -> dict[str, Any]:
    text = document.paragraphs[ordinal]
    start = document.text.index(text)
    return factories.make_chunk_row(text, document.source_uri, ordinal, char_start=start, char_end=start + len(text))


def _embedding_row(chunk: Mapping[str, Any], embedder: Any) -> dict[str, Any]:
    versioned = ("active", "event_timestamp", "created_timestamp", "run_id")
    return {
        "chunk_id": chunk["chunk_id"],
        "embedding_key": embedding_key(chunk["text_hash"], embedder.spec.encoder_hash),
        "text_hash": chunk["text_hash"],
        "model_id": embedder.spec.model_id,
        "model_hash": embedder.spec.model_hash,
        "dim": embedder.spec.dim,
        "embedding": embedder.encode([chunk["text"]])[0].tolist(),
        **{name: chunk[name] for name in versioned},
    }


def _stats_row(document: Document) -> dict[str, Any]:
    row = factories.make_document_row(document.text, document.source_uri)
    names = ("document_id", "title", "source", "source_uri", "language", "source_modified_at")
    times = ("active", "event_timestamp", "created_timestamp", "run_id")
    counts = {
        "char_count": len(document.text),
        "chunk_count": len(document.paragraphs),
        "token_count": len(document.text.split()),
        "change_count": 0,
    }
    return {**{name: row[name] for name in (*names, *times)}, **counts}


def _write_ops(root: Path) -> None:
    run = dict.fromkeys(RUNS.column_names) | {
        "run_id": "run-1",
        "step": "validate",
        "status": "ok",
        "started_at": DAY_ZERO,
        "finished_at": DAY_ZERO,
        "seconds": 1.0,
        "unit": "documents",
        **dict.fromkeys(("rows_in", "accepted", "unchanged", "quarantined", "written"), 0),
        "tables_read": {},
        "tables_written": {},
        "details": json.dumps({}),
    }
    rule = {
        "run_id": "run-1",
        "dataset": "bronze_documents",
        "kind": "gate",
        "rule": "RowCount > 0",
        "outcome": "passed",
        "failed_rows": 0,
        "reason": None,
        "ruleset_hash": "0" * 32,
        "recorded_at": DAY_ZERO,
    }
    write_rows(root, RUNS, [run])
    write_rows(root, QUALITY_RESULTS, [rule])


def copied(world: Path, home: Path) -> Path:
    """Return a home of its own with the lake and the index of a world, for tests that change them."""
    for part in ("landing", "lake", "index"):
        shutil.copytree(world / part, home / part)
    return home
