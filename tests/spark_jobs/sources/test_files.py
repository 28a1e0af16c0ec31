import io
import json
import os
import socket

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ragstone.runtime.errors import BadInputError, ConfigError
from ragstone.runtime.settings import IngestSettings, ParsingSettings
from ragstone.runtime.source_settings import FilesSource, RecordColumns
from spark_jobs.parsers.parse import parse
from spark_jobs.sources.files import FilesConnector
from spark_jobs.sources.mime import JSONL, PARQUET
from tests.spark_jobs.sources.looks import Looks


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "notes"
    folder.mkdir()
    return folder


def connector(root, **changes):
    limit = changes.pop("max_item_bytes", 1_000)
    return FilesConnector(
        "notes", FilesSource(root=root, **changes), IngestSettings(max_item_bytes=limit), ParsingSettings()
    )


def write(root, name, content=b"text"):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def listed(root, **changes):
    return [item.source_uri for item in connector(root, **changes).items({})]


def test_files_are_named_by_their_path_below_the_folder_in_a_fixed_order(root):
    for name in ("b.md", "a.txt", "sub/c.rst", "sub/deep/d.html", "skip.zip"):
        write(root, name)
    assert listed(root) == ["a.txt", "b.md", "sub/c.rst", "sub/deep/d.html"]


def test_patterns_choose_and_leave_out(root):
    for name in ("a.md", "drafts/b.md", "c.txt"):
        write(root, name)
    assert listed(root, include=("**/*.md",), exclude=("drafts/**",)) == ["a.md"]


def test_hidden_folders_are_looked_into_only_when_named(root):
    write(root, ".venv/lib/README.md")
    write(root, ".github/guide.md")
    assert listed(root) == []
    assert listed(root, include=(".github/**/*.md",)) == [".github/guide.md"]


def test_bytes_come_as_they_are(root):
    write(root, "a.md", b"\xff\x00raw\r\n")
    files = connector(root)
    assert [files.fetch(item) for item in files.items({})] == [b"\xff\x00raw\r\n"]


def refused(root, **changes):
    files = connector(root, **changes)
    (item,) = list(files.items({}))
    with pytest.raises(BadInputError) as error:
        files.fetch(item)
    assert error.value.got
    assert error.value.wanted
    return error.value.what


def test_a_file_that_is_too_large_is_not_read(root):
    with write(root, "big.txt").open("r+b") as file:
        file.truncate(200 * 1024 * 1024)
    assert "too large" in refused(root, max_item_bytes=50_000_000)


def test_the_limit_itself_is_allowed(root):
    write(root, "a.md", b"x" * 1_000)
    files = connector(root)
    assert len(files.fetch(next(files.items({})))) == 1_000


def test_a_file_that_vanished_after_it_was_listed_is_refused(root):
    path = write(root, "a.md")
    files = connector(root)
    (item,) = list(files.items({}))
    path.unlink()
    with pytest.raises(BadInputError, match="cannot be read") as error:
        files.fetch(item)
    assert error.value.got == "No such file or directory"


def test_a_link_that_leads_out_is_refused_and_one_that_stays_is_read(root, tmp_path):
    secret = write(tmp_path, "secret.md")
    (root / "out.md").symlink_to(secret)
    assert "leads out" in refused(root)
    (root / "out.md").unlink()
    write(root, "a.md", b"inside")
    (root / "b.md").symlink_to(root / "a.md")
    files = connector(root)
    assert [files.fetch(item) for item in files.items({})] == [b"inside", b"inside"]


def test_a_dangling_link_is_refused(root):
    (root / "a.md").symlink_to(root / "nowhere.md")
    assert "cannot be read" in refused(root)


def test_a_link_to_a_folder_above_does_not_go_round(root):
    write(root, "a.md")
    (root / "loop").symlink_to(root)
    assert listed(root) == ["a.md"]


def test_a_pipe_is_refused_without_waiting_for_its_writer(root):
    os.mkfifo(root / "pipe.md")
    assert "regular file" in refused(root)


def test_a_socket_is_refused(root, monkeypatch):
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s.md")
        assert "regular file" in refused(root)


def test_a_name_that_is_not_text_is_refused_and_spelled_out(root):
    os.close(os.open(os.fsencode(root) + b"/caf\xe9.md", os.O_CREAT | os.O_WRONLY))
    assert listed(root) == ["caf\\xe9.md"]
    assert "name" in refused(root)


def test_a_folder_that_is_not_there_is_no_empty_source(root):
    root.rmdir()
    with pytest.raises(ConfigError, match="cannot be listed"):
        listed(root)


COLUMNS = RecordColumns(id="id", text=("body",), title="title")


def look_at(tmp_path, root):
    return Looks(FilesSource(root=root, include=("**/*",), records=COLUMNS), tmp_path)


def parquet(rows):
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


ROWS = [{"id": "1", "title": "A lamp", "body": "It is red."}, {"id": "2", "title": "A bell", "body": "It is old."}]


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("rows.csv", lambda rows: "\n".join(["id,title,body", *(",".join(row.values()) for row in rows)]).encode()),
        ("rows.jsonl", lambda rows: "\n".join(map(json.dumps, rows)).encode()),
        ("rows.parquet", parquet),
    ],
)
def test_each_row_of_a_file_of_records_is_a_document(root, tmp_path, name, write):
    source = look_at(tmp_path, root)
    (root / "guide.md").write_text("# A guide")
    (root / name).write_bytes(write(ROWS))
    assert source.changes() == {"guide.md": "fetched", f"{name}#1": "fetched", f"{name}#2": "fetched"}
    assert source.content(f"{name}#1") == b'{"text":"It is red.","title":"A lamp"}'
    (root / name).write_bytes(write([{**ROWS[0], "body": "It is blue."}, {**ROWS[1], "id": "3"}]))
    assert source.changes() == {f"{name}#1": "fetched", f"{name}#3": "fetched", f"{name}#2": "vanished"}


def test_a_file_that_breaks_off_is_set_aside_and_its_rows_stay(root, tmp_path):
    source = look_at(tmp_path, root)
    lines = [json.dumps(row) for row in ROWS]
    (root / "rows.jsonl").write_text("\n".join(lines))
    source.look()
    (root / "rows.jsonl").write_text(f"{lines[0]}\n{{broken\n")
    found = source.look()
    assert (found.envelopes, found.vanished) == ([], 0)
    assert [(one.item_key, "line 2 is not JSON" in one.reason) for one in found.rejections] == [("rows.jsonl", True)]


def test_bad_rows_are_named_by_their_number_and_their_neighbours_arrive(root, tmp_path):
    rows = [ROWS[0], {**ROWS[1], "body": ""}, {**ROWS[0], "title": "Again"}, {"title": "nameless", "body": "Text."}]
    (root / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = look_at(tmp_path, root).look()
    assert [envelope.source_uri for envelope in found.envelopes] == ["rows.jsonl#1"]
    reasons = {one.item_key: one.reason for one in found.rejections}
    assert "no text" in reasons["rows.jsonl#2"]
    assert "came before" in reasons["rows.jsonl#row 3"]
    assert "no id" in reasons["rows.jsonl#row 4"]


def test_without_columns_a_file_of_records_is_one_document(root, tmp_path):
    (root / "rows.parquet").write_bytes(parquet(ROWS))
    (root / "rows.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    source = Looks(FilesSource(root=root, include=("**/*",)), tmp_path)
    assert source.changes() == {"rows.jsonl": "fetched", "rows.parquet": "fetched"}
    for name, kind in (("rows.parquet", PARQUET), ("rows.jsonl", JSONL)):
        text = parse(source.content(name), kind, name).text
        assert text == "id: 1; title: A lamp; body: It is red.\n\nid: 2; title: A bell; body: It is old."
