import io
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ragstone.embedding.tokenizer import load_word_pieces
from ragstone.runtime.errors import BadInputError
from ragstone.runtime.settings import ParsingSettings, Settings
from spark_jobs.chunking.structure import StructureChunker
from spark_jobs.parsers.parse import parse
from spark_jobs.sources.mime import CSV, JSONL, PARQUET, mime_type


def test_each_row_of_a_csv_file_is_a_block_that_names_its_columns():
    content = b'berth,ship,note\n1,Heron,"Said ""hello"",\nand left"\n2,,\n'
    assert parse(content, CSV, "a.csv").text == 'berth: 1; ship: Heron; note: Said "hello", and left\n\nberth: 2'


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_told_by_the_header(separator):
    content = f"berth{separator}ship\n1{separator}Gull, the old one\n".replace("Gull,", '"Gull,').replace("one", 'one"')
    assert parse(content.encode(), CSV, "a.csv").text == "berth: 1; ship: Gull, the old one"


def test_each_line_of_a_jsonl_file_is_a_block():
    content = b'{"berth": 1, "ship": {"name": "Gull"}}\n\n{"berth": 2, "ship": null}\n'
    assert parse(content, JSONL, "a.jsonl").text == 'berth: 1; ship: {"name": "Gull"}\n\nberth: 2'


@pytest.mark.parametrize(("content", "told"), [(b'{"a": 1}\n{broken', "line 2 is not JSON"), (b"[1]", "no object")])
def test_a_line_that_is_no_object_is_named(content, told):
    with pytest.raises(BadInputError, match=told):
        parse(content, JSONL, "a.jsonl")


def parquet(**columns):
    written = io.BytesIO()
    pq.write_table(pa.table(columns), written)
    return written.getvalue()


def test_each_row_of_a_parquet_file_is_a_line():
    content = parquet(berth=[1, 2], ship=["Gull", None], left=[date(2026, 1, 31), None])
    assert mime_type("rows.dat", content) == PARQUET
    assert parse(content, PARQUET, "a.parquet").text == "berth: 1; ship: Gull; left: 2026-01-31\n\nberth: 2"


def test_a_parquet_file_that_was_cut_short_is_refused():
    with pytest.raises(BadInputError, match="Parquet"):
        parse(parquet(berth=list(range(1_000)))[:300], PARQUET, "a.parquet")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (("name" * 1_000 + "\n" + "x\n" * 1_000).encode(), CSV),
        (b'{"a": "b"}\n' * 200_000, JSONL),
        (parquet(note=["the same again"] * 100_000), PARQUET),
    ],
)
def test_a_table_that_grows_past_the_limit_as_text_is_refused(content, kind):
    with pytest.raises(BadInputError, match=r"parsing\.max_unpacked_bytes"):
        parse(content, kind, "a", ParsingSettings(max_unpacked_bytes=500_000))


def test_no_chunk_of_a_table_ends_inside_a_row():
    rows = "".join(f'{number},"Gull {number}. It left; it came back.\nTwice"\n' for number in range(200))
    document = parse(f"berth,note\n{rows}".encode(), CSV, "a.csv")
    chunker = StructureChunker(load_word_pieces(Settings()), max_tokens=100, overlap_tokens=20, chunker_hash="x")
    chunks = chunker.chunk("d", document.text, document.headings, document.kept_lines)
    assert len(chunks) > 20
    assert {row for chunk in chunks for row in chunk.text.split("\n\n")} == set(document.text.split("\n\n"))
