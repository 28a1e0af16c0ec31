"""A pipeline without a JVM: every file a document, every paragraph a chunk, then the real online store and index."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ragstone.contracts.identity import chunk_id, document_id, embedding_key
from ragstone.contracts.tables import DOCUMENT_ACCESS, DOCUMENT_STATS, SILVER_CHUNKS, embeddings
from ragstone.embedding.load import load_embedder
from ragstone.features import materialize
from ragstone.runtime.settings import Settings
from serving.index import build
from tests.factories import CHUNKER_HASH, accept_rows, make_access_row, make_chunk_row, make_document_row, write_rows


@dataclass
class ParagraphPipeline:
    """Takes in what the source's folder holds; remembers the settings of each run."""

    runs: list[Settings] = field(default_factory=list)

    def __call__(self, settings: Settings) -> None:
        self.runs.append(settings)
        if len(self.runs) == 1:
            for path in sorted(settings.sources["beir"].root.glob("*.txt")):
                _take_in(settings, path.name, path.read_text("utf-8").split("\n\n"))
        materialize.run(settings, "run-1")
        build.run(settings, "run-1")


def _take_in(settings: Settings, name: str, paragraphs: list[str]) -> None:
    root, owner = settings.lake_root, {"document_id": document_id("beir", name)}
    chunks = [_chunk(text, name, ordinal) for ordinal, text in enumerate(paragraphs)]
    write_rows(root, SILVER_CHUNKS, chunks)
    write_rows(root, DOCUMENT_ACCESS, [make_access_row(name, **owner)])
    document = make_document_row("\n\n".join(paragraphs), name, **owner)
    kept = {column: document[column] for column in DOCUMENT_STATS.column_names if column in document}
    write_rows(root, DOCUMENT_STATS, [kept])
    embedder = load_embedder(settings)
    table = embeddings(embedder.spec.space, embedder.spec.dim)
    write_rows(root, table, [_embedding(chunk, embedder) for chunk in chunks])
    accept_rows(root, table.name)


def _chunk(text: str, name: str, ordinal: int) -> dict[str, Any]:
    row = make_chunk_row(text, name, ordinal, document_id=document_id("beir", name))
    return {**row, "chunk_id": chunk_id(row["document_id"], CHUNKER_HASH, row["text_hash"], ordinal)}


def _embedding(chunk: dict[str, Any], embedder: Any) -> dict[str, Any]:
    versioned = ("chunk_id", "text_hash", "active", "event_timestamp", "created_timestamp", "run_id")
    return {
        **{name: chunk[name] for name in versioned},
        "embedding_key": embedding_key(chunk["text_hash"], embedder.spec.encoder_hash),
        "model_id": embedder.spec.model_id,
        "model_hash": embedder.spec.model_hash,
        "dim": embedder.spec.dim,
        "embedding": embedder.encode([chunk["text"]])[0].tolist(),
    }
