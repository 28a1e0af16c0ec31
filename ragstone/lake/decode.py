"""Whatever lies below a home, decoded into values: by what a file's bytes say it is, not by its name."""

from __future__ import annotations

import gzip
import json
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from pyarrow.parquet import ParquetFile

_BATCH_ROWS: Final = 4_096
_HEAD_BYTES: Final = 16
_READ_BYTES: Final = 1 << 20
# Two readings overlap by so much, so that no run of words is lost where one ends.
_OVERLAP_BYTES: Final = 4_096

Decoded = Iterator[tuple[str, Any]]
_KINDS: Final[Mapping[bytes, str]] = {
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"SQLite format 3\0": "sqlite",
    b"\x1f\x8b": "gzip",
    b"\x78\x9c": "zlib",
    b"IxF": "faiss",
    b"IxR": "faiss",
    b"REDIS": "rdb",
    b"VALKEY": "rdb",
}


class UndecodableError(Exception):
    """A file is not what its first bytes say; what could be read of it was given before."""


def kind_of(path: Path) -> str:
    """Return the kind of a file, told by its first bytes: a name in the table of readers below."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except FileNotFoundError:
        return "gone"
    for magic, kind in _KINDS.items():
        if head.startswith(magic):
            return kind
    return "json lines" if head.startswith(b"{") else "text"


def decoded(path: Path) -> Decoded:
    """Yield where in a file, and what: values of columns, rows, lines, pages, and what the file says of itself.

    Raises UndecodableError.
    """
    try:
        yield from _READERS[kind_of(path)](path)
    except FileNotFoundError:
        return
    except (OSError, pa.ArrowInvalid, sqlite3.Error, zlib.error, EOFError) as broken:
        yield from _text(path)
        raise UndecodableError(str(broken).splitlines()[0]) from broken


def _parquet(path: Path) -> Decoded:
    file = ParquetFile(path)
    yield "footer", {str(name): value for name, value in (file.metadata.metadata or {}).items()}
    for group in range(file.metadata.num_row_groups):
        for column in range(file.metadata.num_columns):
            found = file.metadata.row_group(group).column(column)
            if found.statistics is not None and found.statistics.has_min_max:
                yield (
                    f"statistics of {found.path_in_schema}",
                    [_as_text(found.statistics.min), _as_text(found.statistics.max)],
                )
    texts = [
        name for name, type_ in zip(file.schema_arrow.names, file.schema_arrow.types, strict=True) if _has_text(type_)
    ]
    if texts:
        for batch in file.iter_batches(_BATCH_ROWS, columns=texts):
            for name in batch.schema.names:
                for value in batch.column(batch.schema.get_field_index(name)).to_pylist():
                    yield f"column {name}", value


def _arrow(path: Path) -> Decoded:
    with pa.memory_map(str(path)) as source:
        table = pa.ipc.open_file(source).read_all()
    for name in table.column_names:
        if _has_text(table.schema.field(name).type):
            for value in table[name].to_pylist():
                yield f"column {name}", value


def _sqlite(path: Path) -> Decoded:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        tables = connection.execute("SELECT name, sql FROM sqlite_master").fetchall()
        yield "schema", [list(row) for row in tables]
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            quoted = name.replace('"', '""')
            for row in connection.execute(f'SELECT * FROM "{quoted}"'):
                yield f"table {name}", [_as_text(value) for value in row]
    connection.close()
    # Pages that were freed keep what they held until they are used again.
    yield from _text(path)


def _json_lines(path: Path) -> Decoded:
    try:
        for number, line in enumerate(path.read_text("utf-8").split("\n"), 1):
            if line:
                yield f"line {number}", _opened(json.loads(line))
    except ValueError:
        yield from _json(path)


def _json(path: Path) -> Decoded:
    try:
        yield "document", _opened(json.loads(path.read_text("utf-8")))
    except ValueError:
        yield from _text(path)


def _opened(value: Any) -> Any:
    """Return a value with the JSON texts in it opened too, such as the statistics in a Delta log."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return [value, _opened(json.loads(value))]
        except ValueError:
            return value
    if isinstance(value, dict):
        return {name: _opened(inner) for name, inner in value.items()}
    return [_opened(inner) for inner in value] if isinstance(value, list) else value


def _gzip(path: Path) -> Decoded:
    with gzip.open(path) as file:
        yield "unpacked", file.read()


def _zlib(path: Path) -> Decoded:
    yield "unpacked", zlib.decompress(path.read_bytes())


def _nothing(_path: Path) -> Decoded:
    # Vectors are numbers alone. Whose they are stands beside them, and is held against their count where a snapshot is
    # opened.
    yield from ()


def _rdb(path: Path) -> Decoded:
    yield from _text(path)
    raise OSError("a Redis snapshot outside of what the server loads")


def _text(path: Path) -> Decoded:
    with path.open("rb") as file:
        rest = b""
        while part := file.read(_READ_BYTES):
            yield "text", rest + part
            rest = part[-_OVERLAP_BYTES:]


def _has_text(type_: pa.DataType) -> bool:
    if pa.types.is_dictionary(type_):
        return _has_text(type_.value_type)
    if type_.num_fields:
        return any(_has_text(type_.field(number).type) for number in range(type_.num_fields))
    return bool(
        pa.types.is_string(type_)
        or pa.types.is_large_string(type_)
        or pa.types.is_binary(type_)
        or pa.types.is_large_binary(type_)
    )


def _as_text(value: Any) -> Any:
    return value if isinstance(value, str | bytes) else str(value)


_READERS: Final[Mapping[str, Callable[[Path], Decoded]]] = {
    "parquet": _parquet,
    "arrow": _arrow,
    "sqlite": _sqlite,
    "gzip": _gzip,
    "zlib": _zlib,
    "json lines": _json_lines,
    "faiss": _nothing,
    "gone": _nothing,
    "rdb": _rdb,
    "text": _text,
}
