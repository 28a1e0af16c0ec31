from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from ragstone.runtime.errors import BadInputError, UsageError
from serving.evaluation import beir
from serving.evaluation.beir import BeirDocument, joined_by_title, read_beir

CORPUS = [
    {"_id": "a1", "title": "Towers", "text": "The north tower."},
    {"_id": "a2", "title": "Towers", "text": "The east tower."},
    {"_id": "b/1", "title": "", "text": "A wall."},
    {"_id": "b/2", "text": "A moat."},
]
QUERIES = [{"_id": "q1", "text": "Which tower?", "answers": ["north"]}, {"_id": "q2", "text": "Which water?"}]
QRELS = "query-id\tcorpus-id\tscore\nq1\ta1\t2\nq1\ta2\t1\nq1\tb/1\t0\nq2\tb/2\t1\n"


def write(folder: Path, name: str, content: str) -> None:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(content.encode()) if name.endswith(".gz") else content.encode())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "corpus.jsonl", "\n".join(map(json.dumps, CORPUS)))
    write(tmp_path, "queries.jsonl", "\n".join(map(json.dumps, QUERIES)) + "\n\n")
    write(tmp_path, "qrels.tsv", QRELS)
    return tmp_path


def test_a_folder_is_read_as_it_stands(folder: Path) -> None:
    found = read_beir(folder)
    assert found.name == folder.name
    assert found.documents["a1"] == BeirDocument("Towers", "The north tower.")
    assert found.documents["b/2"] == BeirDocument("", "A moat.")
    assert found.queries["q1"].answers == ("north",)
    assert found.queries["q2"].answers == ()
    assert found.judgements == {"q1": {"a1": 2, "a2": 1}, "q2": {"b/2": 1}}


@pytest.mark.parametrize("place", ["qrels.tsv.gz", "qrels/test.tsv", "qrels/test.tsv.gz", "qrels/dev.tsv"])
def test_packed_files_and_every_place_of_judgements_read_alike(folder: Path, place: str) -> None:
    plain = read_beir(folder)
    for name in ("corpus.jsonl", "queries.jsonl"):
        write(folder, f"{name}.gz", (folder / name).read_text())
        (folder / name).unlink()
    (folder / "qrels.tsv").unlink()
    write(folder, place, QRELS)
    assert read_beir(folder) == plain


def test_judgements_may_come_without_a_header(folder: Path) -> None:
    write(folder, "qrels.tsv", "q1\ta1\t1\n")
    assert read_beir(folder).judgements == {"q1": {"a1": 1}}


@pytest.mark.parametrize(
    ("name", "content", "line", "got"),
    [
        ("corpus.jsonl", '{"_id": "a", "text": "x"}\n{"_id": ', "line 2", "Expecting value"),
        ("corpus.jsonl", '{"_id": "a"}', "line 1", '{"_id": "a"}'),
        ("queries.jsonl", "[]", "line 1", "[]"),
        ("qrels.tsv", "h\th\th\nq1\ta1\tmany\n", "line 2", "many"),
        ("qrels.tsv", "h\th\th\nq1\tnowhere\t1\n", "line 2", "nowhere"),
        ("qrels.tsv", "h\th\th\nq1 a1 1\n", "line 2", "q1 a1 1"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(folder: Path, name: str, content: str, line: str, got: str) -> None:
    write(folder, name, content)
    with pytest.raises(BadInputError) as refused:
        read_beir(folder)
    assert refused.value.where == f"{folder / name}, {line}"
    assert got in str(refused.value.got)


def test_bytes_that_are_no_gzip_are_named(folder: Path) -> None:
    (folder / "corpus.jsonl").unlink()
    (folder / "corpus.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(BadInputError) as refused:
        read_beir(folder)
    assert refused.value.where == str(folder / "corpus.jsonl.gz")


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl", "qrels.tsv"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(UsageError) as refused:
        read_beir(folder)
    assert name in str(refused.value.wanted)


def test_too_large_a_corpus_is_refused_with_its_size(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert beir.MOST_DOCUMENTS == 20_000
    monkeypatch.setattr(beir, "MOST_DOCUMENTS", 3)
    with pytest.raises(UsageError) as refused:
        read_beir(folder)
    assert (refused.value.got, refused.value.wanted) == ("4 documents", "at most 3")


def test_documents_of_one_title_join_and_keep_the_best_judgement(folder: Path) -> None:
    joined = joined_by_title(read_beir(folder))
    assert joined.documents == {
        "Towers": BeirDocument("Towers", "The north tower.\n\nThe east tower."),
        "b/1": BeirDocument("", "A wall."),
        "b/2": BeirDocument("", "A moat."),
    }
    assert joined.judgements == {"q1": {"Towers": 2}, "q2": {"b/2": 1}}
