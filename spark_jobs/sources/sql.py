"""The sql connector: the rows of a query, each a document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Final

from sqlalchemy import Connection, Engine, NullPool, create_engine, exc, make_url, text

from ragstone.contracts.identity import stable_hash
from ragstone.contracts.records import Envelope
from ragstone.lake.documents import is_alive
from ragstone.runtime.errors import BadInputError, ConfigError, DependencyUnavailableError
from ragstone.runtime.settings import IngestSettings, read_secret
from ragstone.runtime.source_settings import SqlSource
from spark_jobs.sources.connector import SourceItem
from spark_jobs.sources.increments import greatest, version_of
from spark_jobs.sources.records import column_value, record_item

_SECRET_PREFIXES: Final = ("env:", "file:")
# SQLite calls these an operational error, as it does a broken disk.
_SQLITE_REFUSALS: Final = ("SQLITE_ERROR", "SQLITE_READONLY")
_FALSE: Final = (None, False, 0, "", "0", "f", "false", "n", "no")


class SqlConnector:
    """Reads one query. With an incremental column only rows at or past the greatest value landed are asked for.

    At or past, because rows may share a value; rows without one are always asked for. A row that was refused is asked
    for again once it is mended, and so gets a new value. When the settings that decide what a row becomes, or whether
    it is refused, are not those of the landed rows, every row is asked for.
    """

    parallel = 1

    def __init__(self, name: str, source: SqlSource, ingest: IngestSettings) -> None:
        self.name = name
        self.acl = source.acl
        self.metadata = source.metadata
        self.lists_all = source.incremental is None
        self._source = source
        self._max_item_bytes = ingest.max_item_bytes

    def items(self, known: Mapping[str, Envelope]) -> Iterator[SourceItem]:
        """Yield an item for each row, in the order of the query.

        Raises ConfigError when the query, its columns or its address are wrong, DependencyUnavailableError when the
        database cannot be reached or breaks off.
        """
        versions = (before.source_version for before in known.values() if is_alive(before))
        seen: set[str] = set()
        try:
            for row in self._rows(greatest(versions, self._read_as)):
                item = self._item(row)
                if item.source_uri in seen:
                    item = self._second(item, row)
                seen.add(item.source_uri)
                yield item
        except (exc.ArgumentError, exc.ProgrammingError, exc.NoSuchModuleError, ImportError) as wrong:
            raise self._misconfigured(_first_line(wrong), "a query and an address that can be understood") from wrong
        except (exc.SQLAlchemyError, OSError) as broken:
            if getattr(getattr(broken, "orig", None), "sqlite_errorname", None) in _SQLITE_REFUSALS:
                raise self._misconfigured(_first_line(broken), "a query that may be answered") from broken
            raise self._unreachable(broken) from broken

    def fetch(self, item: SourceItem) -> bytes:
        """Never called: a row brings its content."""
        raise BadInputError("a row came without content", got=item.source_uri, wanted="a text")

    @cached_property
    def _engine(self) -> Engine:
        url = self._source.url
        address = read_secret(url).get_secret_value() if url.startswith(_SECRET_PREFIXES) else url
        # One look is one connection, which is not kept when it is over.
        return create_engine(address, poolclass=NullPool)

    @cached_property
    def _read_as(self) -> str:
        """Return a name of the settings that decide what a row becomes and whether it is refused."""
        columns = self._source.records.model_dump_json()
        return stable_hash(self._source.query, str(self._source.incremental), columns, self._max_item_bytes)[:12]

    def _rows(self, since: Any) -> Iterator[dict[str, Any]]:
        """Yield the rows as mappings, a batch at a time, in a transaction that may not write where one can say so."""
        options: dict[str, Any] = {"yield_per": self._source.batch_rows}
        if self._engine.dialect.name == "postgresql":
            options["postgresql_readonly"] = True
        with self._engine.connect().execution_options(**options) as connection:
            self._forbid_writing(connection)
            found = connection.execute(*self._statement(since))
            self._check_columns(list(found.keys()))
            for row in found.mappings():
                yield dict(row)

    def _statement(self, since: Any) -> tuple[Any, dict[str, Any]]:
        # A colon in the query is part of it: there is nothing to be put in its place.
        query, column = self._source.query.strip().rstrip(";").replace(":", r"\:"), self._source.incremental
        if column is None:
            return text(query), {}
        quoted = self._engine.dialect.identifier_preparer.quote(column)
        where = "" if since is None else f" WHERE q.{quoted} >= :since OR q.{quoted} IS NULL"
        return text(f"SELECT * FROM ({query}) q{where} ORDER BY q.{quoted}"), {} if since is None else {"since": since}

    def _forbid_writing(self, connection: Connection) -> None:
        # PostgreSQL is told when the transaction begins; SQLite would commit a DROP by itself.
        if self._engine.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA query_only = ON")

    def _check_columns(self, found: list[str]) -> None:
        columns = self._source.records
        named = {columns.id, *columns.text, *columns.metadata, columns.title, columns.modified_at}
        named |= {self._source.incremental, self._source.deleted}
        missing = {name for name in named if name and name not in found and name.split(".")[0] not in found}
        if missing:
            raise self._misconfigured(f"a query without {', '.join(sorted(missing))}", f"among {', '.join(found)}")

    def _item(self, row: Mapping[str, Any]) -> SourceItem:
        version = self._version(row)
        deleted = self._source.deleted is not None and _is_true(column_value(row, self._source.deleted))
        try:
            item = record_item(row, self._source.records, self.name, version=version, deleted=deleted)
        except BadInputError as bad:
            # Without an id the row is named by what it holds, so that the same row is one entry in quarantine.
            return SourceItem(f"row {_row_hash(row)}", self.name, refusal=bad)
        if not deleted and item.content is not None and len(item.content) > self._max_item_bytes:
            too_large = BadInputError(
                "the row is too large",
                got=f"{len(item.content)} bytes",
                wanted=f"at most {self._max_item_bytes} (ingest.max_item_bytes)",
            )
            return SourceItem(item.source_uri, self.name, refusal=too_large)
        return item

    def _version(self, row: Mapping[str, Any]) -> str | None:
        column = self._source.incremental
        if column is None:
            return None
        try:
            return version_of(row[column], self._read_as)
        except TypeError as wrong:
            raise self._misconfigured(f"{wrong} in {column}", "a number, a time or a text") from wrong

    def _second(self, item: SourceItem, row: Mapping[str, Any]) -> SourceItem:
        """Return the refusal of a row whose id came before: which of them is the document would be a guess."""
        twice = BadInputError("a row has an id that came before", got=item.source_uri, wanted="one row for each id")
        return SourceItem(f"{item.source_uri} again {_row_hash(row)}", self.name, refusal=twice)

    def _misconfigured(self, got: object, wanted: str) -> ConfigError:
        return ConfigError(
            f"the source {self.name} cannot be read as it is configured",
            where=self._source.place,
            got=got,
            wanted=wanted,
            next_step=f"correct sources.{self.name}; nothing was changed",
        )

    def _unreachable(self, broken: Exception) -> DependencyUnavailableError:
        return DependencyUnavailableError(
            f"the database of source {self.name} cannot be read",
            where=_without_password(self._source.url),
            got=_first_line(broken),
            wanted="an answer to the query, to its end",
            next_step="see that the database runs and may be reached from here, then run again; nothing was changed",
        )


def _row_hash(row: Mapping[str, Any]) -> str:
    return stable_hash("row", *(part for name in sorted(row) for part in (name, repr(row[name]))))


def _is_true(value: Any) -> bool:
    return (value.strip().lower() if isinstance(value, str) else value) not in _FALSE


def _without_password(url: str) -> str:
    return url if url.startswith(_SECRET_PREFIXES) else make_url(url).render_as_string(hide_password=True)


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
