import json
import os
from datetime import UTC, datetime
from decimal import Decimal

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ragstone.runtime.errors import BadInputError
from ragstone.runtime.settings import ParsingSettings
from ragstone.runtime.source_settings import FilesSource, RecordColumns
from spark_jobs.sources.connector import SourceItem
from spark_jobs.sources.record_files import RecordReader
from tests.spark_jobs.sources.looks import Looks

COLUMNS = RecordColumns(id="id", text=("body",), modified_at="at", metadata=("price",))
LIMITS = ParsingSettings(max_seconds=30, max_memory_mb=400, max_unpacked_bytes=1_000_000)
GOOD = '{"id": "1", "body": "It is red.", "at": "2026-01-31T12:00:00Z"}'


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "rows"
    folder.mkdir()
    return folder


def reader(limits=LIMITS, max_item_bytes=100_000):
    return RecordReader(COLUMNS, max_item_bytes, limits)


def read(path, **settings):
    with reader(**settings) as files:
        return list(files.items(SourceItem(path.name, str(path))))


def refused(path, **settings):
    """The refusal of the first file, read between two looks at a good one by one reader."""
    good = path.with_name("good.jsonl")
    good.write_text(GOOD)
    with reader(**settings) as files:
        assert len(list(files.items(SourceItem("good.jsonl", str(good))))) == 1
        with pytest.raises(BadInputError) as error:
            list(files.items(SourceItem(path.name, str(path))))
        assert len(list(files.items(SourceItem("good.jsonl", str(good))))) == 1
    assert error.value.facts().keys() == {"where", "got", "wanted", "next"}
    assert error.value.where == str(path)
    return str(error.value)


def test_what_only_parquet_can_say_comes_through(root):
    at = datetime(2026, 1, 31, 12, tzinfo=UTC)
    rows = [{"id": 7, "body": "Größe \u2028 \x00", "at": at, "price": Decimal("1.50")}]
    pq.write_table(pa.Table.from_pylist(rows), root / "rows.parquet")
    (item,) = read(root / "rows.parquet")
    assert (item.source_uri, item.modified_at, item.metadata) == ("rows.parquet#7", at, {"price": "1.50"})
    assert json.loads(item.content)["text"] == rows[0]["body"]


def test_a_parquet_file_that_unpacks_to_too_much_is_refused(root):
    bomb = pa.table({"id": pa.array(map(str, range(20_000))), "body": ["A lamp. " * 50] * 20_000})
    pq.write_table(bomb, root / "rows.parquet", compression="zstd")
    assert (root / "rows.parquet").stat().st_size < LIMITS.max_unpacked_bytes
    assert "parsing.max_unpacked_bytes" in refused(root / "rows.parquet")


def test_one_parquet_value_that_takes_too_much_memory_is_refused(root):
    bomb = pa.table({"id": ["1"], "body": ["x" * 300_000_000]})
    plain = {"use_dictionary": False, "write_statistics": False}
    pq.write_table(bomb, root / "rows.parquet", compression="zstd", **plain)
    assert (root / "rows.parquet").stat().st_size < 1_000_000
    assert "parsing.max_memory_mb" in refused(root / "rows.parquet")


@pytest.mark.parametrize(
    ("name", "start"), [("rows.csv", 'id,body\n1,"'), ("rows.jsonl", '{"id": "1", "body": "')], ids=["csv", "jsonl"]
)
def test_a_field_without_an_end_is_refused(root, name, start):
    with (root / name).open("w") as file:
        file.write(start)
        for _ in range(300):
            file.write("x" * 1_000_000)
    assert "parsing.max_memory_mb" in refused(root / name)


def test_a_file_that_gives_no_row_in_time_is_refused(root):
    with (root / "rows.jsonl").open("w") as file:
        file.write(GOOD)
        for _ in range(20):
            file.write("\n" * 1_000_000)
    assert "parsing.max_seconds" in refused_in_time(root / "rows.jsonl")


def refused_in_time(path):
    # The process is up, so that the time is the file's.
    good = path.with_name("good.jsonl")
    good.write_text(GOOD)
    with reader() as files:
        list(files.items(SourceItem("good.jsonl", str(good))))
        files._limits = LIMITS.model_copy(update={"max_seconds": 0.05})
        with pytest.raises(BadInputError) as error:
            list(files.items(SourceItem(path.name, str(path))))
    return str(error.value)


def test_rows_that_are_too_large_are_refused_alone(root):
    good = json.loads(GOOD)
    rows = [good, {**good, "id": "2", "body": "x" * 500}, {**good, "id": "3", "price": "9" * 500}, {**good, "id": "4"}]
    (root / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    items = read(root / "rows.jsonl", max_item_bytes=200)
    assert [item.source_uri.partition("#")[2] for item in items] == ["1", "row 2", "row 3", "4"]
    assert ["ingest.max_item_bytes" in str(item.refusal) for item in items] == [False, True, True, False]


def test_a_hundred_thousand_rows_come_in_their_order(root):
    with (root / "rows.csv").open("w") as file:
        file.write("id,body,at\n")
        file.writelines(f"{number},Lamp {number} is red.,2026-01-31\n" for number in range(100_000))
    assert [item.source_uri for item in read(root / "rows.csv")] == [f"rows.csv#{number}" for number in range(100_000)]


def test_one_process_reads_many_files_and_ends_with_the_last(root):
    for name in ("a.jsonl", "b.jsonl"):
        (root / name).write_text(GOOD)
    before = set(psutil.Process().children(recursive=True))
    with reader() as files:
        started = set()
        for name in ("a.jsonl", "b.jsonl"):
            assert len(list(files.items(SourceItem(name, str(root / name))))) == 1
            started |= set(psutil.Process().children(recursive=True)) - before
        assert len(started) == 1
    assert not any(process.is_running() for process in started)


def test_a_reader_that_is_left_in_the_middle_of_a_file_leaves_no_process(root):
    (root / "rows.jsonl").write_text("\n".join(GOOD.replace('"1"', f'"{number}"') for number in range(5_000)))
    before = set(psutil.Process().children(recursive=True))
    with reader() as files:
        next(files.items(SourceItem("rows.jsonl", str(root / "rows.jsonl"))))
    assert set(psutil.Process().children(recursive=True)) == before


def test_neighbours_of_a_file_over_a_limit_arrive_and_its_landed_rows_stay(root, tmp_path):
    rows = [json.dumps({"id": str(number), "body": "A lamp."}) for number in range(3)]
    for name in ("a.jsonl", "b.jsonl", "c.jsonl"):
        (root / name).write_text("\n".join(rows[:2]))
    columns = RecordColumns(id="id", text=("body",))
    source = Looks(FilesSource(root=root, include=("**/*",), records=columns), tmp_path, parsing=LIMITS)
    assert source.look().new == 6
    (root / "c.jsonl").write_text("\n".join(rows))
    with (root / "b.jsonl").open("w") as file:
        file.writelines("x" * 1_000_000 for _ in range(300))
    found = source.look()
    assert [(one.source_uri, one.change) for one in found.envelopes] == [("c.jsonl#2", "fetched")]
    assert [one.item_key for one in found.rejections] == ["b.jsonl"]
    assert "parsing.max_memory_mb" in found.rejections[0].reason


def test_links_that_lead_out_and_pipes_are_no_files_of_records(root, tmp_path):
    (tmp_path / "secret.jsonl").write_text(GOOD)
    (root / "out.jsonl").symlink_to(tmp_path / "secret.jsonl")
    os.mkfifo(root / "pipe.jsonl")
    found = Looks(FilesSource(root=root, include=("**/*",), records=COLUMNS), tmp_path).look()
    assert {one.item_key: one.reason.split(":")[0] for one in found.rejections} == {
        "out.jsonl": "the link leads out of the source's folder",
        "pipe.jsonl": "the item is not a regular file",
    }
    assert found.envelopes == []
