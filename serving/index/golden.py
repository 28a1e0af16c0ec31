"""Golden questions: what an index finds for questions whose documents are known, kept beside the index that was asked.

The set lies in `<home>/golden`, in BEIR form without a corpus: queries.jsonl and qrels.tsv, whose documents are named
`SOURCE/SOURCE_URI`. Answers are kept, so that versions are compared without asking an old one, or its encoder, again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Final

from pydantic import BaseModel, ConfigDict, RootModel, ValidationError

from ragstone.contracts.identity import document_id
from ragstone.embedding.load import load_embedder
from ragstone.runtime.errors import IndexIncompatibleError
from ragstone.runtime.settings import Settings
from ragstone.text.normalise import normalise
from serving.evaluation.beir import read_judged_queries
from serving.evaluation.measures import recall
from serving.index.files import GOLDEN_FILE
from serving.index.snapshot import IndexSnapshot

DEPTH: Final = 10
_ASKED_AT_ONCE: Final = 64


@dataclass(frozen=True)
class GoldenQuestion:
    """A question, and the ids of the documents that answer it."""

    question_id: str
    text: str
    judged: frozenset[str]


class GoldenAnswer(BaseModel):
    """What one index found for one question: the `DEPTH` best chunks, best first, and the document of each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question_id: str
    text: str
    chunk_ids: tuple[str, ...]
    document_ids: tuple[str, ...]


class _Answers(RootModel[tuple[GoldenAnswer, ...]]):
    """The content of `GOLDEN_FILE`."""


def read_golden(settings: Settings) -> list[GoldenQuestion]:
    """Return the judged golden questions of a home, in the order of the file; none when there is no set.

    Raises UsageError when half of the set is missing, BadInputError with file and line when a line cannot be read.
    """
    if not settings.golden_root.is_dir():
        return []
    queries, judgements = read_judged_queries(settings.golden_root)
    return [
        GoldenQuestion(name, query.text, frozenset(map(_document_id, judgements[name])))
        for name, query in queries.items()
        if name in judgements
    ]


def ask_golden(settings: Settings, snapshot: IndexSnapshot, questions: Sequence[GoldenQuestion]) -> list[GoldenAnswer]:
    """Ask an index every question, encoded as the service encodes them, and return the answers in their order."""
    encoder, found = load_embedder(settings), []
    for start in range(0, len(questions), _ASKED_AT_ONCE):
        part = questions[start : start + _ASKED_AT_ONCE]
        vectors = encoder.encode_questions([normalise(question.text) for question in part])
        for question, vector in zip(part, vectors, strict=True):
            hits = snapshot.search(vector, DEPTH)
            found.append(
                GoldenAnswer(
                    question_id=question.question_id,
                    text=question.text,
                    chunk_ids=tuple(hit.chunk_id for hit in hits),
                    document_ids=tuple(hit.document_id for hit in hits),
                )
            )
    return found


def write_answers(folder: Path, answers: Sequence[GoldenAnswer]) -> None:
    """Write the answers of an index into its folder."""
    (folder / GOLDEN_FILE).write_text(_Answers(tuple(answers)).model_dump_json(indent=1) + "\n", "utf-8")


def read_answers(folder: Path) -> dict[str, GoldenAnswer]:
    """Return the answers in a snapshot's folder by question_id, none when it was not asked.

    The caller holds the file against the manifest. Raises IndexIncompatibleError when it cannot be read.
    """
    path = folder / GOLDEN_FILE
    try:
        return {answer.question_id: answer for answer in _Answers.model_validate_json(path.read_bytes()).root}
    except FileNotFoundError:
        return {}
    except (OSError, ValidationError) as unreadable:
        raise IndexIncompatibleError(
            "the golden answers of an index cannot be read",
            where=str(path),
            got=str(unreadable).splitlines()[0],
            next_step="ragstone index build",
        ) from unreadable


def mean_recall(
    questions: Sequence[GoldenQuestion], answers: Mapping[str, GoldenAnswer], living: Collection[str]
) -> float:
    """Return the mean over the questions of the share of their judged, living documents among those found.

    Each question has an answer and a judged document that lives.
    """
    return fmean(
        recall(answers[each.question_id].document_ids, dict.fromkeys(each.judged & set(living), 1), DEPTH)
        for each in questions
    )


def _document_id(name: str) -> str:
    source, _, source_uri = name.partition("/")
    return document_id(source, source_uri)
