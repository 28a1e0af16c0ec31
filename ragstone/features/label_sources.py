"""Where labels come from: a frame, an Arrow table, a file, a Delta table or a SQL query, all as one Arrow table."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from ragstone.features.labels import TIME_COLUMN, frame_labels, times_as_text
from ragstone.features.views import CHUNK_METADATA, STATS
from ragstone.lake.foreign import is_delta_folder, read_delta_folder
from ragstone.runtime.errors import BadInputError, ConfigError, DependencyUnavailableError, UsageError
from ragstone.runtime.settings import read_secret

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    from sqlalchemy import Connection

    LabelSource: TypeAlias = pa.Table | pd.DataFrame | pl.DataFrame | Path | str

SQL: Final = "sql:"
DATABASE: Final = "env:LABELS_URL"
# An id of digits alone is no number: it may begin with zeros, or be too long for one.
_CSV_TEXTS: Final = {name: pa.string() for name in (CHUNK_METADATA.join_key, STATS.join_key, TIME_COLUMN)}
_WANTED: Final = "a pandas or Polars frame, an Arrow table, *.parquet, *.csv, a Delta folder, or sql:SELECT …"


def read_labels(source: LabelSource, database: str = DATABASE) -> pa.Table:
    """Return labels as they stand, in the source's order; `ragstone.features.labels` judges them.

    A string that begins with `sql:` is a query, any other string a path. `database` names the secret that holds the
    SQLAlchemy address of the query's database, `env:NAME` or `file:/path`; an address itself is refused, because
    arguments are seen by others. Times as text, as CSV has them, stay text. Raises UsageError for what is no source,
    BadInputError for one that cannot be read, ConfigError and DependencyUnavailableError for a database.
    """
    if isinstance(source, pa.Table):
        return source
    if isinstance(source, str) and source.startswith(SQL):
        return _from_database(source.removeprefix(SQL).strip(), database)
    if isinstance(source, str | Path):
        return _from_path(Path(source))
    # A frame is known by its library, so that neither is imported for the other.
    library = type(source).__module__.partition(".")[0]
    if library == "pandas":
        return frame_labels(cast("pd.DataFrame", source))
    if library == "polars":
        return cast("pl.DataFrame", source).to_arrow()
    raise UsageError("labels cannot be read from this", where="labels", got=type(source).__name__, wanted=_WANTED)


def _from_path(path: Path) -> pa.Table:
    if is_delta_folder(path):
        return read_delta_folder(path)
    if not path.is_file():
        got = "a folder without _delta_log" if path.is_dir() else "nothing there"
        raise _unreadable(path, got, _WANTED)
    try:
        return _from_csv(path) if path.suffix.lower() == ".csv" else pq.read_table(path)
    except (pa.ArrowException, OSError) as broken:
        raise _unreadable(path, str(broken).splitlines()[0], "Parquet, or CSV in a file named *.csv") from broken


def _from_csv(path: Path) -> pa.Table:
    options = pacsv.ConvertOptions(column_types=_CSV_TEXTS, null_values=[""], strings_can_be_null=True)
    return pacsv.read_csv(path, convert_options=options)


def _from_database(query: str, database: str) -> pa.Table:
    from sqlalchemy import NullPool, create_engine, exc

    if not database.startswith(("env:", "file:")):
        # Not told what it is: it may hold a password.
        raise UsageError(
            "the database of labels is named, not written",
            where="database",
            got="neither env:NAME nor file:/path",
            wanted="the name of a secret that holds a SQLAlchemy address",
            next_step=f"export LABELS_URL=postgresql+psycopg://…, which is what {DATABASE} names",
        )
    address = read_secret(database).get_secret_value()
    try:
        engine = create_engine(address, poolclass=NullPool)
        options: dict[str, Any] = {"postgresql_readonly": True} if engine.dialect.name == "postgresql" else {}
        with closing(engine.connect().execution_options(**options)) as connection:
            return _rows(connection, query)
    except (exc.ArgumentError, exc.ProgrammingError, exc.NoSuchModuleError, ImportError) as wrong:
        raise _no_query(database, wrong) from None
    except (exc.SQLAlchemyError, OSError) as broken:
        if getattr(getattr(broken, "orig", None), "sqlite_errorname", None) in ("SQLITE_ERROR", "SQLITE_READONLY"):
            raise _no_query(database, broken) from None
        raise DependencyUnavailableError(
            "the database of labels cannot be read",
            where=database,
            got=_first_line(broken),
            wanted="an answer to the query, to its end",
            next_step="see that the database runs and may be reached from here, then run again",
        ) from None


def _rows(connection: Connection, query: str) -> pa.Table:
    if connection.dialect.name == "sqlite":
        # PostgreSQL is told when the transaction begins; SQLite would commit a DROP by itself.
        connection.exec_driver_sql("PRAGMA query_only = ON")
    # As it stands: with text() a colon in the query would begin a parameter.
    found = connection.exec_driver_sql(query.rstrip(";"), execution_options={"no_parameters": True})
    names, rows = list(found.keys()), found.fetchall()
    columns = [_column(name, [row[position] for row in rows]) for position, name in enumerate(names)]
    return pa.table(columns, names=names)


def _column(name: str, values: Sequence[Any]) -> pa.Array:
    try:
        return pa.array(times_as_text(values) if name == TIME_COLUMN else values)
    except pa.ArrowException as mixed:
        raise BadInputError(
            "a column of the labels has values of several kinds",
            where=f"labels, column {name}",
            got=str(mixed).splitlines()[0],
            wanted="values of one kind",
            next_step="cast it in the query",
        ) from mixed


def _no_query(database: str, wrong: Exception) -> ConfigError:
    return ConfigError(
        "the labels' query cannot be answered",
        where=database,
        got=_first_line(wrong),
        wanted="a SELECT and a SQLAlchemy address that can be understood",
        next_step="correct the query or the address; nothing was changed",
    )


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]


def _unreadable(path: Path, got: str, wanted: str) -> BadInputError:
    next_step = "see the path, and that it may be read from here"
    return BadInputError("labels cannot be read", where=str(path), got=got, wanted=wanted, next_step=next_step)
