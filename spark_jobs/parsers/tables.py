"""csv and jsonl as documents: each row a block of its own, so that no chunk is cut inside one while it fits."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping

from ragstone.runtime.errors import BadInputError
from spark_jobs.parsers.document import Block, Page


def read_csv(text: str) -> Page:
    """Return a page with a block per row: `header: value` lines, empty values left out. The first row is the header."""
    return Page(_rows(csv_records(io.StringIO(text, newline=""))))


def read_jsonl(text: str) -> Page:
    """Return a page with a block per line: `name: value` lines of its object. Raises BadInputError."""
    return Page(_rows(jsonl_records(text.split("\n"))))


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


def _rows(records: Iterator[Mapping[str, object]]) -> Iterator[Block]:
    for record in records:
        pairs = ((name, _told(value)) for name, value in record.items())
        yield Block("\n".join(f"{name}: {value}" for name, value in pairs if value), keeps_lines=True)


def _told(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
