"""What changed from one index version to another: documents, chunks, and what golden questions find."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from ragstone.lake.index_audit import last_titles
from ragstone.runtime.settings import Settings
from serving.index.golden import GoldenAnswer, read_answers
from serving.index.publish import folder_of
from serving.index.snapshot import open_snapshot


@dataclass(frozen=True)
class ChunkChange:
    """A chunk that only one of two versions has, with the newest title of its document, if that ever had one."""

    chunk_id: str
    document_id: str
    title: str | None


@dataclass(frozen=True)
class DocumentChange:
    """A document that came, went or has other chunks, and how many of its chunks came and went."""

    document_id: str
    title: str | None
    change: Literal["added", "removed", "changed"]
    chunks_added: int
    chunks_removed: int


@dataclass(frozen=True)
class GoldenChange:
    """A golden question whose answer differs: the best chunk before and after, and what entered and left the best ten.

    A question that finds the same chunks in another order is one too; nothing entered and nothing left then.
    """

    question_id: str
    text: str
    best_before: ChunkChange | None
    best_after: ChunkChange | None
    entered: tuple[ChunkChange, ...]
    left: tuple[ChunkChange, ...]


@dataclass(frozen=True)
class IndexDiff:
    """What changed from `older` to `newer`. Chunks and documents are ordered by id, golden questions as asked.

    `golden_asked` counts the questions that both versions were asked in the same words.
    """

    older: str
    newer: str
    documents: tuple[DocumentChange, ...]
    chunks_added: tuple[ChunkChange, ...]
    chunks_removed: tuple[ChunkChange, ...]
    chunks_kept: int
    golden_asked: int
    golden: tuple[GoldenChange, ...]


def diff(settings: Settings, older: str, newer: str) -> IndexDiff:
    """Return what changed between two versions on disk, whichever is served and also when one of them was refused."""
    owners = [_owners(settings, version) for version in (older, newer)]
    asked = _asked_alike(*(read_answers(folder_of(settings, version)) for version in (older, newer)))
    moved = [(before, after) for before, after in asked if before.chunk_ids != after.chunk_ids]
    changed = owners[0].keys() ^ owners[1].keys()
    named = _Named(settings, owners, {*changed, *(chunk for pair in moved for one in pair for chunk in one.chunk_ids)})
    added, removed = changed & owners[1].keys(), changed & owners[0].keys()
    return IndexDiff(
        older=older,
        newer=newer,
        documents=tuple(_documents(owners, named, added, removed)),
        chunks_added=named.chunks(sorted(added)),
        chunks_removed=named.chunks(sorted(removed)),
        chunks_kept=len(owners[0].keys() & owners[1].keys()),
        golden_asked=len(asked),
        golden=tuple(_golden_change(named, before, after) for before, after in moved),
    )


class _Named:
    """Chunks with their documents and titles."""

    def __init__(self, settings: Settings, owners: list[dict[str, str]], chunk_ids: Iterable[str]) -> None:
        self._owners = {**owners[0], **owners[1]}
        self._titles = last_titles(settings.lake_root, sorted({self._owners[name] for name in chunk_ids}))

    def chunks(self, chunk_ids: Iterable[str]) -> tuple[ChunkChange, ...]:
        return tuple(ChunkChange(name, self._owners[name], self.title(self._owners[name])) for name in chunk_ids)

    def title(self, document_id: str) -> str | None:
        return self._titles.get(document_id)


def _owners(settings: Settings, version: str) -> dict[str, str]:
    """Return the document of every chunk of a version, by chunk_id."""
    rows = open_snapshot(folder_of(settings, version)).rows()
    return dict(zip(rows["chunk_id"].to_pylist(), rows["document_id"].to_pylist(), strict=True))


def _documents(
    owners: list[dict[str, str]], named: _Named, added: Iterable[str], removed: Iterable[str]
) -> Iterable[DocumentChange]:
    came, went = Counter(owners[1][name] for name in added), Counter(owners[0][name] for name in removed)
    before, after = (set(chunks.values()) for chunks in owners)
    for document_id in sorted(came | went):
        change: Literal["added", "removed", "changed"] = (
            "added" if document_id not in before else "removed" if document_id not in after else "changed"
        )
        yield DocumentChange(document_id, named.title(document_id), change, came[document_id], went[document_id])


def _asked_alike(
    before: Mapping[str, GoldenAnswer], after: Mapping[str, GoldenAnswer]
) -> list[tuple[GoldenAnswer, GoldenAnswer]]:
    common = [(before[name], answer) for name, answer in after.items() if name in before]
    return [(earlier, later) for earlier, later in common if earlier.text == later.text]


def _golden_change(named: _Named, before: GoldenAnswer, after: GoldenAnswer) -> GoldenChange:
    best_before, best_after = (named.chunks(answer.chunk_ids[:1]) for answer in (before, after))
    return GoldenChange(
        question_id=after.question_id,
        text=after.text,
        best_before=next(iter(best_before), None),
        best_after=next(iter(best_after), None),
        entered=named.chunks(name for name in after.chunk_ids if name not in before.chunk_ids),
        left=named.chunks(name for name in before.chunk_ids if name not in after.chunk_ids),
    )
