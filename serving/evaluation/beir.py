"""A folder in BEIR form: corpus.jsonl, queries.jsonl and qrels.tsv, each plain or gzipped, qrels also under qrels/."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ragstone.runtime.errors import BadInputError, UsageError

MOST_DOCUMENTS: Final = 20_000

# The judgements usually reported come first.
_QRELS: Final = ("qrels", "qrels/test", "qrels/dev", "qrels/train")


@dataclass(frozen=True)
class BeirDocument:
    """One document; the title may be empty."""

    title: str
    text: str


@dataclass(frozen=True)
class BeirQuery:
    """One question, with its answers as they stand in a document, where the set has any."""

    text: str
    answers: tuple[str, ...]


@dataclass(frozen=True)
class BeirSet:
    """Documents and queries by id; `judgements` gives, by query, the documents that answer it, graded above 0."""

    name: str
    documents: Mapping[str, BeirDocument]
    queries: Mapping[str, BeirQuery]
    judgements: Mapping[str, Mapping[str, int]]

    def judged(self) -> Iterator[tuple[str, BeirQuery, Mapping[str, int]]]:
        """Yield id, query and judgements of every query that has any, in the order of the file."""
        for query_id, query in self.queries.items():
            if query_id in self.judgements:
                yield query_id, query, self.judgements[query_id]


def read_beir(folder: Path) -> BeirSet:
    """Return the set in a folder, named after it.

    Raises UsageError when a file is missing or the corpus is too large, BadInputError with file and line when a line
    cannot be read or a judgement names a document that is not there.
    """
    documents = {_id(row, where): _document(row) for row, where in _rows(_find(folder, "corpus", ".jsonl"))}
    if len(documents) > MOST_DOCUMENTS:
        raise UsageError(
            "the corpus is too large to be evaluated",
            where=str(folder),
            got=f"{len(documents):,} documents",
            wanted=f"at most {MOST_DOCUMENTS:,}",
            next_step="take a sample of the corpus that keeps every judged document",
        )
    queries, judgements = read_judged_queries(folder, documents)
    return BeirSet(folder.resolve().name, documents, queries, judgements)


def read_judged_queries(
    folder: Path, documents: Mapping[str, BeirDocument] | None = None
) -> tuple[dict[str, BeirQuery], dict[str, dict[str, int]]]:
    """Return the queries of a folder by id, and by query the documents judged above 0: of `documents`, or of any.

    Raises UsageError when a file is missing, BadInputError with file and line when a line cannot be read or a judgement
    names no document of `documents`.
    """
    queries = {_id(row, where): _query(row) for row, where in _rows(_find(folder, "queries", ".jsonl"))}
    return queries, _judgements(_find_qrels(folder), documents)


def joined_by_title(beir: BeirSet) -> BeirSet:
    """Return the set with documents of one title joined, in their order, into one; judgements follow their documents.

    Documents without a title stay as they are.
    """
    owners = {document_id: document.title or document_id for document_id, document in beir.documents.items()}
    texts: dict[str, list[BeirDocument]] = {}
    for document_id, document in beir.documents.items():
        texts.setdefault(owners[document_id], []).append(document)
    joined = {
        owner: BeirDocument(parts[0].title, "\n\n".join(part.text for part in parts)) for owner, parts in texts.items()
    }
    judgements = {
        query_id: {
            owner: max(grade for document_id, grade in judged.items() if owners[document_id] == owner)
            for owner in dict.fromkeys(owners[document_id] for document_id in judged)
        }
        for query_id, judged in beir.judgements.items()
    }
    return BeirSet(beir.name, joined, beir.queries, judgements)


def _find(folder: Path, stem: str, suffix: str) -> Path:
    candidates = [folder / f"{stem}{suffix}{packed}" for packed in ("", ".gz")]
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        raise _missing(folder, f"{stem}{suffix} or {stem}{suffix}.gz")
    return found


def _find_qrels(folder: Path) -> Path:
    for stem in _QRELS:
        for packed in ("", ".gz"):
            path = folder / f"{stem}.tsv{packed}"
            if path.is_file():
                return path
    raise _missing(folder, "qrels.tsv or qrels.tsv.gz, there or as qrels/test.tsv")


def _rows(path: Path) -> Iterator[tuple[dict[str, Any], str]]:
    for number, line in enumerate(_lines(path), 1):
        if line.strip():
            where = f"{path}, line {number}"
            try:
                row = json.loads(line)
            except json.JSONDecodeError as broken:
                raise _unreadable(where, broken, "one JSON object") from broken
            if not isinstance(row, dict) or "_id" not in row or not isinstance(row.get("text"), str):
                raise _unreadable(where, line[:80], "an object with _id and text")
            yield row, where


def _judgements(path: Path, documents: Mapping[str, BeirDocument] | None) -> dict[str, dict[str, int]]:
    judgements: dict[str, dict[str, int]] = {}
    for number, line in enumerate(_lines(path), 1):
        fields = line.split("\t")
        if not line.strip() or (number == 1 and not fields[-1].strip().lstrip("-").isdigit()):
            continue
        where = f"{path}, line {number}"
        try:
            query_id, document_id, grade = fields[0], fields[1], int(fields[2])
        except (IndexError, ValueError) as broken:
            raise _unreadable(where, line[:80], "query id, document id and a whole number, by tabs") from broken
        if documents is not None and document_id not in documents:
            raise _unreadable(where, document_id, "the id of a document in the corpus")
        if grade > 0:
            judgements.setdefault(query_id, {})[document_id] = grade
    return judgements


def _lines(path: Path) -> Iterator[str]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            yield from file
    except (OSError, EOFError, UnicodeDecodeError) as broken:
        raise _unreadable(str(path), broken, "UTF-8 text, plain or gzipped") from broken


def _id(row: Mapping[str, Any], _where: str) -> str:
    return str(row["_id"])


def _document(row: Mapping[str, Any]) -> BeirDocument:
    return BeirDocument(str(row.get("title") or ""), row["text"])


def _query(row: Mapping[str, Any]) -> BeirQuery:
    return BeirQuery(row["text"], tuple(str(answer) for answer in row.get("answers") or ()))


def _missing(folder: Path, wanted: str) -> UsageError:
    return UsageError("this is no folder in BEIR form", where=str(folder), got="no such file", wanted=wanted)


def _unreadable(where: str, got: object, wanted: str) -> BadInputError:
    return BadInputError("a line of the evaluation set cannot be used", where=where, got=got, wanted=wanted)
