"""Where a document stopped on its way into the answer to a question: stage by stage, from its source to the ranking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from orchestration.naming import find_document
from ragstone.contracts.records import Envelope, Principal
from ragstone.contracts.tables import BRONZE_DOCUMENTS, SILVER_CHUNKS, TableSpec, embeddings
from ragstone.embedding.load import embedding_spec, load_embedder
from ragstone.features.online import OnlineReader
from ragstone.lake.ops import accepted_batch
from ragstone.lake.quarantine import held_entries, open_entries
from ragstone.lake.read import query, state
from ragstone.runtime.errors import NotFoundError
from ragstone.runtime.settings import Settings
from ragstone.text.normalise import normalise
from serving.index.snapshot import IndexSnapshot, open_current
from serving.retrieval.gate import DropReason, judge
from serving.retrieval.retriever import Retrieval, Retriever

PASSED, STOPPED = "passed", "stopped here"


@dataclass(frozen=True)
class Stage:
    """One stage of the way: `outcome` is passed or stopped here, `found` what was seen there."""

    name: str
    outcome: str
    found: str


@dataclass(frozen=True)
class Diagnosis:
    """The stages up to the one that stopped the document, and the verdict in one sentence."""

    document: str
    stages: tuple[Stage, ...]
    verdict: str
    next_step: str = ""


class _Stopped(Exception):  # noqa: N818 - reaching a verdict is no error
    """The stage at which the document stopped."""

    def __init__(self, stage: str, verdict: str, next_step: str = "") -> None:
        super().__init__(verdict)
        self.stage, self.verdict, self.next_step = stage, verdict, next_step


def diagnose(settings: Settings, name: str, question: str, principal: Principal, k: int) -> Diagnosis:
    """Follow the document that `name` means to the answer of `question`; say where it stopped, or at which rank it is.

    Raises UsageError when `name` means several documents.
    """
    stages: list[Stage] = []
    try:
        for stage in _way(settings, name, question, principal, k):
            stages.append(stage)
        verdict, next_step = stages[-1].found, ""
    except _Stopped as stop:
        stages.append(Stage(stop.stage, STOPPED, stop.verdict))
        verdict, next_step = stop.verdict, stop.next_step
    return Diagnosis(name, tuple(stages), verdict, next_step)


def _way(settings: Settings, name: str, question: str, principal: Principal, k: int) -> Iterator[Stage]:
    envelope = _ingested(settings, name)
    yield Stage("ingest", PASSED, f"{envelope.change} at {envelope.fetched_at:%F %T} UTC from {envelope.source}")
    yield Stage("quarantine", PASSED, _not_set_aside(settings, envelope))
    chunks = _chunked(settings, envelope)
    yield Stage("chunk", PASSED, f"{len(chunks)} living chunks")
    yield Stage("embed", PASSED, f"{_embedded(settings, chunks)} of them embedded")
    yield Stage("materialize", PASSED, f"{_online(settings, envelope, chunks)} of them online")
    snapshot = open_current(settings)
    hashes = _indexed(snapshot, envelope)
    yield Stage("index", PASSED, f"{len(hashes)} of them in index {snapshot.manifest.version}")
    yield Stage("gate", PASSED, _gated(settings, envelope, hashes, principal))
    yield Stage("rank", PASSED, _ranked(settings, snapshot, envelope, question, principal, k))


def _ingested(settings: Settings, name: str) -> Envelope:
    try:
        envelope = find_document(settings, name)
    except NotFoundError as unknown:
        raise _Stopped("ingest", *_never_ingested(settings, name)) from unknown
    if envelope.change == "deleted":
        when = f"{envelope.fetched_at:%F %T} UTC"
        raise _Stopped("ingest", f"deleted: on {when}, on request", f"ragstone documents restore {name}")
    if envelope.change == "vanished":
        raise _Stopped("ingest", f"deleted: its source no longer had it on {envelope.fetched_at:%F %T} UTC")
    return envelope


def _never_ingested(settings: Settings, name: str) -> tuple[str, str]:
    set_aside = [row for row in open_entries(settings.lake_root, "ingest").to_pylist() if _ends(row["item_key"], name)]
    if set_aside:
        return f"quarantined by ingest: {set_aside[0]['reason']}", "correct the file, then ragstone run"
    for source, root in settings.folders.items():
        if (root / name).exists() or Path(name).absolute().is_relative_to(root):
            return (
                f"never ingested: no run since it appeared, or the patterns of source {source} leave it out",
                f"ragstone run; include and exclude stand under sources.{source}",
            )
    return "never ingested: it lies in no source", "ragstone init FOLDER, or correct its name"


def _ends(item_key: str, name: str) -> bool:
    return item_key == name or item_key.endswith(f"/{name}") or name.endswith(f"/{item_key}")


def _not_set_aside(settings: Settings, envelope: Envelope) -> str:
    entries = held_entries(settings.lake_root).to_pylist()
    own = [row for row in entries if row["document_id"] == envelope.document_id]
    whole = [row for row in own if row["content_hash"] == envelope.content_hash or row["step"] == "ingest"]
    if whole:
        entry = whole[0]
        rules = f" ({'; '.join(entry['failed_rules'])})" if entry["failed_rules"] else ""
        raise _Stopped(
            "quarantine",
            f"quarantined by {entry['step']}: {entry['reason']}{rules}",
            f"ragstone quarantine show {entry['entry_id']}",
        )
    return f"{len(own)} parts of it are set aside" if own else "nothing of it is set aside"


def _chunked(settings: Settings, envelope: Envelope) -> list[str]:
    where = f"document_id = '{envelope.document_id}'"
    chunks = state(settings.lake_root, SILVER_CHUNKS, columns=("chunk_id",), where=where)["chunk_id"].to_pylist()
    if chunks:
        return [str(chunk) for chunk in chunks]
    batch = _landing_batch(settings, envelope)
    if batch is None or batch > accepted_batch(settings.lake_root):
        raise _Stopped("chunk", "not preprocessed: the gate of bronze has not accepted its version yet", "ragstone run")
    raise _Stopped("chunk", "it gave no chunk: there is no text in it, or preprocess has not run since", "ragstone run")


def _landing_batch(settings: Settings, envelope: Envelope) -> int | None:
    sql = "SELECT max(landing_batch) AS batch FROM bronze WHERE document_id = ?"
    rows = query(settings.lake_root, sql, (envelope.document_id,), bronze=BRONZE_DOCUMENTS)
    batch: int | None = rows["batch"][0].as_py()
    return batch


def _embedded(settings: Settings, chunks: Sequence[str]) -> int:
    found = len(_vectors(settings, chunks))
    if found == 0:
        raise _Stopped("embed", "not embedded yet", "ragstone run --from embed")
    return found


def _online(settings: Settings, envelope: Envelope, chunks: Sequence[str]) -> int:
    found, _ = OnlineReader(settings).read(chunks, [envelope.document_id])
    online = sum(chunk is not None for chunk in found)
    if online == 0:
        raise _Stopped("materialize", "not materialized: the online store knows nothing of it", "ragstone materialize")
    return online


def _indexed(snapshot: IndexSnapshot, envelope: Envelope) -> dict[str, str]:
    rows = snapshot.rows().to_pylist()
    hashes = {row["chunk_id"]: row["text_hash"] for row in rows if row["document_id"] == envelope.document_id}
    if not hashes:
        version = snapshot.manifest.version
        raise _Stopped("index", f"not in the index: {version} was built without it", "ragstone index build")
    return hashes


def _gated(settings: Settings, envelope: Envelope, hashes: dict[str, str], principal: Principal) -> str:
    chunks, documents = OnlineReader(settings).read(list(hashes), [envelope.document_id])
    pairs = zip(hashes.values(), chunks, strict=True)
    judged = [judge(text_hash, chunk, documents[0], principal) for text_hash, chunk in pairs]
    passed = judged.count(None)
    if passed == 0:
        raise _Stopped("gate", *_GATE_VERDICTS[next(reason for reason in judged if reason is not None)])
    return f"{passed} of {len(judged)} may be read by {principal.name} ({', '.join(sorted(principal.groups))})"


_GATE_VERDICTS = {
    DropReason.ABSENT: ("not materialized: the online store knows nothing of it", "ragstone materialize"),
    DropReason.INACTIVE: ("its chunks are not active online: it was changed or deleted", "ragstone run"),
    DropReason.TEXT_CHANGED: ("its texts are others online than in the index", "ragstone index build"),
    DropReason.DOCUMENT_INACTIVE: ("deleted: the document is not active online", "ragstone documents list"),
    DropReason.FORBIDDEN: ("forbidden: none of the asker's groups may read it", "ask with --group, or change its acl"),
}


def _ranked(
    settings: Settings, snapshot: IndexSnapshot, envelope: Envelope, question: str, principal: Principal, k: int
) -> str:
    embedder = load_embedder(settings)
    retrieval = Retriever(settings, embedder, lambda: snapshot, OnlineReader(settings)).retrieve(question, principal, k)
    ranks = [hit.rank for hit in retrieval.hits if hit.chunk.document_id == envelope.document_id]
    if not ranks:
        raise _Stopped("rank", *_outranked(settings, snapshot, envelope, question, retrieval))
    if not retrieval.abstain.answerable:
        raise _Stopped(
            "rank",
            f"at rank {ranks[0]}, but nothing was answered: probability {retrieval.abstain.probability:.3f} is below "
            f"the threshold {retrieval.abstain.threshold:.3f}",
            "ragstone why QUESTION",
        )
    return f"it is among the hits, at rank {', '.join(map(str, ranks))} of {len(retrieval.hits)}"


def _outranked(
    settings: Settings, snapshot: IndexSnapshot, envelope: Envelope, question: str, retrieval: Retrieval
) -> tuple[str, str]:
    duplicates = [drop for drop in retrieval.drops if drop.document_id == envelope.document_id]
    if duplicates:
        return "an equal text of another document stands for it among the hits", ""
    chunks = [row["chunk_id"] for row in snapshot.rows().to_pylist() if row["document_id"] == envelope.document_id]
    vector = load_embedder(settings).encode_questions([normalise(question)])[0]
    best = max(float(np.dot(vector, known)) for known in _vectors(settings, chunks).values())
    above = ", ".join(f"{hit.document.source_uri} ({hit.score:.3f})" for hit in retrieval.hits)
    return f"outranked: its best chunk scores {best:.3f}; above it stand {above}", "ask for more hits with -k"


def _vectors(settings: Settings, chunks: Sequence[str]) -> dict[str, np.ndarray]:
    ids = ", ".join(f"'{chunk}'" for chunk in chunks)
    rows = state(
        settings.lake_root, _embeddings(settings), columns=("chunk_id", "embedding"), where=f"chunk_id IN ({ids})"
    )
    return {row["chunk_id"]: np.asarray(row["embedding"], dtype=np.float32) for row in rows.to_pylist()}


def _embeddings(settings: Settings) -> TableSpec:
    spec = embedding_spec(settings)
    return embeddings(spec.space, spec.dim)
