"""The sql connector: the rows of a query, each a document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, Final

from sqlalchemy import Engine, create_engine, exc, make_url, text

from ragstone.contracts.identity import stable_hash
from ragstone.contracts.records import Envelope
from ragstone.lake.documents import is_alive
from ragstone.runtime.errors import BadInputError, ConfigError, DependencyUnavailableError
from ragstone.runtime.settings import IngestSettings, read_secret
from ragstone.runtime.source_settings import SqlSource
from spark_jobs.sources.connector import SourceItem
from spark_jobs.sources.records import column_value, record_item

_SECRET_PREFIXES: Final = ("env:", "file:")
_FALSE: Final = (None, False, 0, "", "0", "f", "false", "n", "no")


class SqlConnector:
    """Reads one query. With an incremental column only rows at or past the greatest value landed are asked for.

    At or past, because rows may share a value. A row that was refused is asked for again once it is mended, and so gets
    a new value.
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
        since = self._greatest_value(known)
        try:
            for row in self._rows(since):
                yield self._item(row)
        except (exc.ArgumentError, exc.ProgrammingError, exc.NoSuchModuleError) as wrong:
            raise self._misconfigured(_first_line(wrong), "a query that the database understands") from wrong
        except (exc.SQLAlchemyError, OSError) as broken:
            raise self._unreachable(broken) from broken

    def fetch(self, item: SourceItem) -> bytes:
        """Never called: a row brings its content."""
        raise BadInputError("a row came without content", got=item.source_uri, wanted="a text")

    @cached_property
    def _engine(self) -> Engine:
        url = self._source.url
        return create_engine(read_secret(url).get_secret_value() if url.startswith(_SECRET_PREFIXES) else url)

    def _rows(self, since: Any) -> Iterator[dict[str, Any]]:
        """Yield the rows as mappings, a batch at a time, in a transaction that may not write where one can say so."""
        options: dict[str, Any] = {"yield_per": self._source.batch_rows}
        if self._engine.dialect.name == "postgresql":
            options["postgresql_readonly"] = True
        with self._engine.connect().execution_options(**options) as connection:
            found = connection.execute(*self._statement(since))
            self._check_columns(list(found.keys()))
            for row in found.mappings():
                yield dict(row)

    def _statement(self, since: Any) -> tuple[Any, dict[str, Any]]:
        query, column = self._source.query.strip().rstrip(";"), self._source.incremental
        if column is None:
            return text(query), {}
        quoted = self._engine.dialect.identifier_preparer.quote(column)
        where = "" if since is None else f" WHERE q.{quoted} >= :since"
        # In the column's order, so that a run that is cut short has landed nothing past what it left out.
        return text(f"SELECT * FROM ({query}) q{where} ORDER BY q.{quoted}"), {} if since is None else {"since": since}

    def _check_columns(self, found: list[str]) -> None:
        columns = self._source.records
        named = {columns.id, *columns.text, *columns.metadata, columns.title, columns.modified_at}
        named |= {self._source.incremental, self._source.deleted}
        missing = {name for name in named if name and name not in found and name.split(".")[0] not in found}
        if missing:
            raise self._misconfigured(f"a query without {', '.join(sorted(missing))}", f"among {', '.join(found)}")

    def _item(self, row: Mapping[str, Any]) -> SourceItem:
        version = None if self._source.incremental is None else _version(row[self._source.incremental])
        deleted = self._source.deleted is not None and _is_true(column_value(row, self._source.deleted))
        try:
            item = record_item(row, self._source.records, self.name, version=version, deleted=deleted)
        except BadInputError as bad:
            # Without an id the row is named by what it holds, so that the same row is one entry in quarantine.
            return SourceItem(f"row {_row_hash(row)}", self.name, refusal=bad)
        if item.content is not None and len(item.content) > self._max_item_bytes:
            too_large = BadInputError(
                "the row is too large",
                got=f"{len(item.content)} bytes",
                wanted=f"at most {self._max_item_bytes} (ingest.max_item_bytes)",
            )
            return SourceItem(item.source_uri, self.name, refusal=too_large)
        return item

    def _greatest_value(self, known: Mapping[str, Envelope]) -> Any:
        """Return the greatest value of the incremental column that was landed, in its own type, or None."""
        versions = [before.source_version for before in known.values() if is_alive(before)]
        values = [_value_of(version) for version in versions if version]
        return max(values, default=None)

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


def _version(value: Any) -> str:
    """Return a value of the incremental column with its type, to be compared as what it is."""
    if isinstance(value, datetime):
        return f"time {(value if value.tzinfo is None else value.astimezone(UTC)).isoformat()}"
    return f"number {value}" if isinstance(value, int | Decimal) else f"text {value}"


def _value_of(version: str) -> Any:
    kind, _, value = version.partition(" ")
    if kind == "time":
        return datetime.fromisoformat(value)
    if kind == "number":
        number = Decimal(value)
        return int(number) if number == number.to_integral_value() else number
    return value


def _row_hash(row: Mapping[str, Any]) -> str:
    return stable_hash("row", *(part for name in sorted(row) for part in (name, repr(row[name]))))


def _is_true(value: Any) -> bool:
    return (value.strip().lower() if isinstance(value, str) else value) not in _FALSE


def _without_password(url: str) -> str:
    return url if url.startswith(_SECRET_PREFIXES) else make_url(url).render_as_string(hide_password=True)


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
