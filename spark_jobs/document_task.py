"""What a run of preprocess has to do, found without a JVM."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ragstone.contracts.tables import BRONZE_DOCUMENTS, TableSpec
from ragstone.lake.delta import table_id, table_version, transaction_version
from ragstone.lake.ops import accepted_batch
from ragstone.lake.pending_documents import DocumentState, PendingDocuments, ReadBy, pending_documents
from ragstone.runtime.settings import Settings
from spark_jobs.chunking.chunkers import Chunker, ChunkerRecipe, chunker_recipe, make_chunker
from spark_jobs.parsers.parse import PARSERS, Parser, parser_of


@dataclass(frozen=True)
class DocumentTask:
    """The documents that differ from bronze at `bronze_version`, and how they shall be cut.

    Content counted up to landing batch `accepted_batch`. `created_at` is the write time of every new row: now,
    but later than every row there is.
    """

    step: str
    pending: PendingDocuments
    recipe: ChunkerRecipe
    bronze_version: int
    bronze_id: str | None
    accepted_batch: int
    created_at: datetime

    @property
    def to_write(self) -> list[DocumentState]:
        """Return the documents whose text, chunks or stats have to be written."""
        return [state for state in self.pending.differing if state.to_write]

    def transaction(self, root: Path, table: TableSpec) -> tuple[str, int] | None:
        """Return the transaction to commit rows under: none for a version that has one, for Delta would skip them.

        The same bronze version gives new work when validate accepts more of it, or when a parser changes.
        """
        app_id = f"{self.step}:{self.recipe.chunker_hash}:{self.bronze_id}"
        committed = transaction_version(root, table, app_id)
        return None if committed is not None and committed >= self.bronze_version else (app_id, self.bronze_version)


def find_task(settings: Settings, step: str) -> DocumentTask:
    """Return what is to be done. Raises what `chunker_recipe` raises."""
    root, recipe = settings.lake_root, chunker_recipe(settings)
    readers = {mime_type: _read_by(parser) for mime_type, parser in PARSERS.items()}
    accepted = accepted_batch(root)
    pending = pending_documents(root, accepted, readers, _read_by(parser_of("")), recipe.chunker_hash)
    now, newest = datetime.now(UTC), pending.newest_write
    return DocumentTask(
        step=step,
        pending=pending,
        recipe=recipe,
        bronze_version=table_version(root, BRONZE_DOCUMENTS),
        bronze_id=table_id(root, BRONZE_DOCUMENTS),
        accepted_batch=accepted,
        created_at=now if newest is None else max(now, newest + timedelta(microseconds=1)),
    )


def balanced(states: Sequence[DocumentState], parts: int) -> list[DocumentState]:
    """Return documents so ordered that cutting the list into `parts` equal stretches gives each as much to read."""
    largest_first = sorted(states, key=lambda state: state.size_bytes or 0, reverse=True)
    return [state for part in range(parts) for state in largest_first[part::parts]]


@functools.cache
def chunker(recipe: ChunkerRecipe) -> Chunker:
    """Return the chunker of a recipe, made once per process."""
    return make_chunker(recipe)


def _read_by(parser: Parser) -> ReadBy:
    return ReadBy(parser.name, parser.full_version)
