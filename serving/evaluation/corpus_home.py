"""An evaluation set as a home folder of its own: its documents as files, taken in by the ordinary pipeline."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ragstone.contracts.identity import document_id, stable_hash
from ragstone.contracts.names import PUBLIC_GROUP
from ragstone.contracts.records import Principal
from ragstone.embedding.load import load_embedder
from ragstone.features.online import OnlineReader
from ragstone.runtime.redis_server import stop_redis
from ragstone.runtime.settings import Settings
from ragstone.runtime.source_settings import FilesSource
from serving.evaluation.beir import BeirDocument, BeirSet
from serving.index.snapshot import IndexSnapshot, open_current
from serving.retrieval.retriever import Retriever

Pipeline = Callable[[Settings], None]

SOURCE: Final = "beir"
_EVERYONE: Final = Principal("evaluation", frozenset({PUBLIC_GROUP}))


@dataclass(frozen=True)
class CorpusHome:
    """A set that went through the pipeline: what is needed to ask it. `names` gives corpus ids by document_id."""

    settings: Settings
    snapshot: IndexSnapshot
    retriever: Retriever
    principal: Principal
    names: dict[str, str]


@contextmanager
def corpus_home(settings: Settings, beir: BeirSet, run_pipeline: Pipeline, home: Path | None) -> Iterator[CorpusHome]:
    """Export a set, run the pipeline over it, and give what is needed to ask it; its Redis is stopped at the end.

    `home` defaults to a folder below `<home>/eval` that is named after the set and its content, so that the same set
    is taken in once. Nothing of it touches the other homes: it has a lake, a registry and an online store of its own.
    """
    own = _own_settings(settings, beir, home)
    files = _export(beir, own.folders[SOURCE])
    try:
        run_pipeline(own)
        snapshot, reader = open_current(own), OnlineReader(own)
        retriever = Retriever(own, load_embedder(own), lambda: snapshot, reader)
        names = {document_id(SOURCE, file): name for name, file in files.items()}
        yield CorpusHome(own, snapshot, retriever, _EVERYONE, names)
    finally:
        stop_redis(own)


def _own_settings(settings: Settings, beir: BeirSet, home: Path | None) -> Settings:
    own_home = home or settings.home / "eval" / f"{beir.name}-{_content_hash(beir)[:12]}"
    return settings.model_copy(
        update={
            "home": own_home,
            "sources": {SOURCE: FilesSource(root=own_home / "corpus", include=("*.txt",), acl=(PUBLIC_GROUP,))},
            "ingest": settings.ingest.model_copy(update={"max_deleted_share": 1.0}),
            # A registry or Redis that the settings name belongs to the documents served.
            "feast": settings.feast.model_copy(update={"registry": None}),
            "redis": settings.redis.model_copy(update={"url": None}),
        }
    )


def _content_hash(beir: BeirSet) -> str:
    documents = [(name, document.title, document.text) for name, document in beir.documents.items()]
    return stable_hash("beir", json.dumps(documents))


def _export(beir: BeirSet, folder: Path) -> dict[str, str]:
    """Make a folder hold one file for every document and nothing else, and return file names by corpus id."""
    folder.mkdir(parents=True, exist_ok=True)
    # Corpus ids may hold anything, a slash included, so files are numbered.
    files = {name: f"{number:05d}.txt" for number, name in enumerate(beir.documents)}
    for stale in {path.name for path in folder.iterdir()} - set(files.values()):
        (folder / stale).unlink()
    for name, file in files.items():
        content = _as_file(beir.documents[name])
        path = folder / file
        if not path.is_file() or path.read_bytes() != content:
            path.write_bytes(content)
    return files


def _as_file(document: BeirDocument) -> bytes:
    parts = (part for part in (document.title, document.text) if part.strip())
    return "\n\n".join(parts).encode("utf-8", "replace")
