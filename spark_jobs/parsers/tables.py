"""csv and jsonl as documents: each row a line that names its columns, so that a chunk of any rows explains itself."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping

from ragstone.runtime.errors import BadInputError
from spark_jobs.parsers.document import Block, Page


def read_csv(text: str, max_unpacked_bytes: int) -> Page:
    """Return a page with a line per row under the header, as `row_blocks` makes it. Raises BadInputError."""
    return Page(list(row_blocks(csv_records(io.StringIO(text, newline="")), max_unpacked_bytes)))


def read_jsonl(text: str, max_unpacked_bytes: int) -> Page:
    """Return a page with a line per object, as `row_blocks` makes it. Raises BadInputError."""
    return Page(list(row_blocks(jsonl_records(text.split("\n")), max_unpacked_bytes)))


def row_blocks(records: Iterable[Mapping[str, object]], max_unpacked_bytes: int) -> Iterator[Block]:
    """Yield a block per row: `name: value; name: value`, empty values left out.

    Raises BadInputError when the names, repeated on each row, make more than `max_unpacked_bytes` characters.
    """
    size = 0
    for record in records:
        pairs = ((name, _told(value)) for name, value in record.items())
        text = "; ".join(f"{name}: {value}" for name, value in pairs if value)
        size += len(text)
        if size > max_unpacked_bytes:
            raise BadInputError(
                "the table is too large as text",
                got=f"{size} characters and more",
                wanted=f"at most {max_unpacked_bytes} (parsing.max_unpacked_bytes)",
            )
        if text:
            yield Block(text, keeps_lines=True)


def csv_records(lines: io.TextIOBase) -> Iterator[Mapping[str, object]]:
    """Yield the rows under the header; the separator is told by the header. Raises BadInputError."""
    start = lines.read(65_536)
    lines.seek(0)
    csv.field_size_limit(2**31 - 1)
    try:
        yield from csv.DictReader(lines, delimiter=_delimiter(start), restkey="more", strict=True)
    except csv.Error as broken:
        raise BadInputError("the table cannot be read as CSV", got=broken, wanted="rows under a header") from broken


def jsonl_records(lines: Iterator[str] | list[str]) -> Iterator[Mapping[str, object]]:
    """Yield the object of each line that is not blank. Raises BadInputError."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as broken:
            raise BadInputError(f"line {number} is not JSON", got=broken, wanted="an object on each line") from broken
        if not isinstance(record, Mapping):
            raise BadInputError(f"line {number} is no object", got=type(record).__name__, wanted="an object")
        yield record


def _delimiter(start: str) -> str:
    header = start.split("\n", 1)[0]
    return max(",;\t|", key=header.count)


def _told(value: object) -> str:
    """Return a value on one line."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str).strip('"')
    return " ".join(text.split())
