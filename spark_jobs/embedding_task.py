"""What a run of embed has to do, found without a JVM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from ragstone.contracts.identity import embedding_key
from ragstone.contracts.tables import SILVER_CHUNKS, TableSpec, embeddings
from ragstone.embedding.load import embedding_spec
from ragstone.embedding.spec import EmbeddingSpec
from ragstone.lake import quarantine, read
from ragstone.lake.change_feed import changed_keys
from ragstone.lake.delta import table_id, table_version, transaction_version
from ragstone.lake.pending_embeddings import PendingEmbeddings, pending_embeddings
from ragstone.runtime.errors import ConfigError
from ragstone.runtime.settings import Settings
from spark_jobs.chunking.chunkers import check_window


@dataclass(frozen=True)
class EmbeddingTask:
    """Which chunks, at which version, go into which table. `app_id` names this source in the table's transactions.

    `committed` tells whether the table has rows of this very version of the chunks already. `changed` has the chunks
    that can wait, by chunk_id: those the change feed names since the version that was committed last, and those that
    were ever set aside. It is None where the feed does not reach back: each chunk is held against the embeddings then.
    """

    step: str
    spec: EmbeddingSpec
    table: TableSpec
    pending: PendingEmbeddings
    chunk_version: int
    app_id: str
    committed: bool
    changed: pa.Table | None

    @property
    def is_done(self) -> bool:
        """Return whether nothing waits, but perhaps chunks that this very version was set aside for."""
        return self.pending.total == 0 or (self.committed and self.pending.fresh == 0)

    @property
    def transaction(self) -> tuple[str, int] | None:
        """Return the transaction to commit rows under: none for a version that has one, for Delta would skip them."""
        return None if self.committed else (self.app_id, self.chunk_version)

    def created_at(self) -> datetime:
        """Return the write time of new rows: now, but later than every row there is, wherever the clock has gone."""
        now, newest = datetime.now(UTC), self.pending.newest_write
        return now if newest is None else max(now, newest + timedelta(microseconds=1))


def find_task(settings: Settings, step: str) -> EmbeddingTask:
    """Return what is to be done in the configured space.

    Raises ConfigError when it holds another encoder's vectors, or when chunks are longer than its encoder reads.
    """
    check_window(settings)
    root, spec = settings.lake_root, embedding_spec(settings)
    table = embeddings(spec.space, spec.dim)
    _check_space(root, table, spec)
    version = table_version(root, SILVER_CHUNKS)
    app_id = f"{step}:{spec.space}:{table_id(root, SILVER_CHUNKS)}"
    committed = transaction_version(root, table, app_id)
    set_aside = _set_aside(root, step, table)
    changed = _changed(root, committed, list(set_aside))
    open_ones = [chunk_id for chunk_id, is_open in set_aside.items() if is_open]
    return EmbeddingTask(
        step=step,
        spec=spec,
        table=table,
        pending=pending_embeddings(root, table, version, open_ones, changed),
        chunk_version=version,
        app_id=app_id,
        committed=committed is not None and committed >= version,
        changed=changed,
    )


def _set_aside(root: Path, step: str, table: TableSpec) -> dict[str, bool]:
    """Return of every chunk ever set aside on its way into a table, by id, whether it is not to be tried again."""
    entries = quarantine.entries(root).select(["step", "dataset", "item_key", "resolved_at", "resolution"]).to_pylist()
    ours = [entry for entry in entries if (entry["step"], entry["dataset"]) == (step, table.name)]
    stays = {
        entry["item_key"]
        for entry in ours
        if entry["resolution"] == quarantine.DISMISSED
        or (entry["resolved_at"] is None and entry["resolution"] != quarantine.RETRY)
    }
    return {entry["item_key"]: entry["item_key"] in stays for entry in ours}


def _changed(root: Path, committed: int | None, set_aside: Sequence[str]) -> pa.Table | None:
    """Return the chunks that can wait, given what was committed last: all others have their row since then."""
    found = None if committed is None else changed_keys(root, SILVER_CHUNKS, committed)
    if found is None:
        return None
    return pa.concat_tables([found, pa.table({"chunk_id": pa.array(set_aside, pa.string())})])


def _check_space(root: Path, table: TableSpec, spec: EmbeddingSpec) -> None:
    """Refuse to mix encoders. One vector tells of all, since every run makes this check."""
    sample = read.query(
        root, "SELECT text_hash, embedding_key, model_id FROM vectors WHERE active LIMIT 1", vectors=table
    ).to_pylist()
    if sample and sample[0]["embedding_key"] != embedding_key(sample[0]["text_hash"], spec.encoder_hash):
        raise ConfigError(
            f"the embedding space {spec.space} holds vectors of another encoder",
            where=table.name,
            got=f"{spec.model_id}, {spec.precision}, {spec.max_tokens} tokens",
            wanted=f"the encoder of {sample[0]['model_id']} that filled it",
            next_step="set embedding.space to a new name: another encoder is a new space beside the old one",
        )
