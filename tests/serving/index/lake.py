"""Chunks with vectors of known coordinates, put straight into the lake, so that hits can be told by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ragstone.contracts.identity import chunk_id, document_id, embedding_key, text_hash
from ragstone.contracts.tables import DOCUMENT_ACCESS, SILVER_CHUNKS, TableSpec, embeddings
from ragstone.embedding.load import embedding_spec
from ragstone.runtime.settings import Settings
from tests.factories import CHUNKER_HASH, accept_rows, make_access_row, make_chunk_row, make_tombstone, write_rows

DIM = 384


def unit(*coordinates: float) -> npt.NDArray[np.float32]:
    """Return the vector with these first coordinates and zeros after them, scaled to length 1."""
    vector = np.zeros(DIM)
    vector[: len(coordinates)] = coordinates
    return (vector / np.linalg.norm(vector)).astype(np.float32)


@dataclass(frozen=True)
class Item:
    """One chunk of one document, with its vector."""

    source_uri: str
    text: str
    vector: npt.NDArray[np.float32]

    @property
    def chunk_id(self) -> str:
        return chunk_id(document_id("notes", self.source_uri), CHUNKER_HASH, text_hash(self.text), 0)

    @property
    def document_id(self) -> str:
        return document_id("notes", self.source_uri)


NORTH = Item("north.md", "The north tower has a red lamp.", unit(1, 0))
EAST = Item("east.md", "The east tower has a bell.", unit(0, 1))
BETWEEN = Item("between.md", "A wall joins the towers.", unit(1, 1))


def embeddings_spec(settings: Settings) -> TableSpec:
    """Return the contract of the configured space's table."""
    spec = embedding_spec(settings)
    return embeddings(spec.space, spec.dim)


def put(settings: Settings, *items: Item, **changes: Any) -> None:
    """Append chunk, embedding and access rows of living items; `changes` apply to every row, such as its times."""
    root = settings.lake_root
    write_rows(root, SILVER_CHUNKS, [make_chunk_row(item.text, item.source_uri, **changes) for item in items])
    write_rows(root, embeddings_spec(settings), [embedding_row(settings, item, **changes) for item in items])
    write_rows(root, DOCUMENT_ACCESS, [make_access_row(item.source_uri, **changes) for item in items])
    accept_rows(root, embeddings_spec(settings).name, changes.get("run_id", "run-1"))


def restrict(settings: Settings, item: Item, *groups: str, **times: Any) -> None:
    """Append an access row that lets only these groups read an item's document."""
    write_rows(settings.lake_root, DOCUMENT_ACCESS, [make_access_row(item.source_uri, acl=list(groups), **times)])


def embedding_row(settings: Settings, item: Item, **changes: Any) -> dict[str, Any]:
    """Return the row of an item's vector under the configured encoder."""
    spec, chunk = embedding_spec(settings), make_chunk_row(item.text, item.source_uri)
    versioned = ("chunk_id", "text_hash", "active", "event_timestamp", "created_timestamp", "run_id")
    row = {
        **{name: chunk[name] for name in versioned},
        "embedding_key": embedding_key(chunk["text_hash"], spec.encoder_hash),
        "model_id": spec.model_id,
        "model_hash": spec.model_hash,
        "dim": DIM,
        "embedding": item.vector.tolist(),
    }
    return {**row, **changes}


def end(settings: Settings, spec: TableSpec, key: str, **times: Any) -> None:
    """Append a tombstone."""
    write_rows(settings.lake_root, spec, [make_tombstone(spec, key, **times)])


def many(count: int, seed: int = 7) -> Sequence[Item]:
    """Return items with random vectors, each its own document."""
    vectors = np.random.default_rng(seed).normal(size=(count, DIM))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return [
        Item(f"many-{number}.md", f"Item number {number}.", vector)
        for number, vector in enumerate(vectors.astype(np.float32))
    ]
