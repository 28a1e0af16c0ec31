"""The files connector: documents in a folder, chosen by patterns."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ragstone.contracts.records import Envelope
from ragstone.runtime.errors import BadInputError, ConfigError
from ragstone.runtime.settings import IngestSettings, ParsingSettings
from ragstone.runtime.source_settings import FilesSource
from spark_jobs.sources.connector import SourceItem
from spark_jobs.sources.globs import Globs
from spark_jobs.sources.record_files import RecordReader, holds_records


class FilesConnector:
    """Reads one folder. An item's source_uri is its path below the folder, so a moved folder keeps its documents."""

    lists_all = True
    parallel = 1

    def __init__(self, name: str, source: FilesSource, ingest: IngestSettings, parsing: ParsingSettings) -> None:
        self.name = name
        self.acl = source.acl
        self.metadata = source.metadata
        self._root = source.root.absolute()
        self._max_item_bytes = ingest.max_item_bytes
        self._records = source.records
        self._parsing = parsing
        self._include = Globs(source.include)
        self._exclude = Globs(source.exclude)
        self._sees_hidden = any(part.startswith(".") for pattern in source.include for part in pattern.split("/"))

    def items(self, known: Mapping[str, Envelope]) -> Iterator[SourceItem]:
        """Yield the matching files in the order of their paths, or the rows of those that hold records.

        Links to folders are not followed. A row's source_uri is its file's and, after a `#`, its id.

        Raises ConfigError when the folder is missing or a part of it cannot be listed: its documents would be taken for
        vanished.
        """
        if not self._root.is_dir():
            raise self._unreachable("not a folder")
        if self._records is None:
            yield from self._files()
            return
        with RecordReader(self._records, self._max_item_bytes, self._parsing) as reader:
            for file in self._files():
                yield from self._rows(reader, file, known) if holds_records(Path(file.locator)) else (file,)

    def fetch(self, item: SourceItem) -> bytes:
        """Return a file's bytes.

        Raises BadInputError for a file that has gone, may not be read, is too large, is no regular file, has a name
        that is not text, or is a link that leads out of the folder.
        """
        path = Path(item.locator)
        if _printable(str(path)) != str(path):
            raise BadInputError("the file's name is not valid text", got=item.source_uri, wanted="a UTF-8 name")
        try:
            return self._read(path)
        except OSError as unreadable:
            raise BadInputError(
                "the file cannot be read", got=unreadable.strerror, wanted="the file that was listed"
            ) from unreadable

    def _files(self) -> Iterator[SourceItem]:
        for folder, folders, names in os.walk(self._root, onerror=self._refuse):
            folders[:] = sorted(name for name in folders if self._sees_hidden or not name.startswith("."))
            for name in sorted(names):
                path = Path(folder, name)
                relative = path.relative_to(self._root).as_posix()
                if self._include.match(relative) and not self._exclude.match(relative):
                    yield SourceItem(_printable(relative), str(path), _modified_at(path))

    def _rows(self, reader: RecordReader, file: SourceItem, known: Mapping[str, Envelope]) -> Iterator[SourceItem]:
        """Yield the rows of a file; one that breaks off is set aside, and what was landed of it stays."""
        seen = set()
        try:
            self._check_place(Path(file.locator))
            for row in reader.items(file):
                seen.add(row.source_uri)
                yield row
        except BadInputError as bad:
            yield replace(file, refusal=bad)
            landed = (uri for uri in known if uri.startswith(f"{file.source_uri}#") and uri not in seen)
            yield from (SourceItem(uri, file.locator, kept=True) for uri in landed)

    def _check_place(self, path: Path) -> None:
        if not path.resolve(strict=True).is_relative_to(self._root.resolve()):
            raise BadInputError(
                "the link leads out of the source's folder", got=str(path.resolve()), wanted=f"a file in {self._root}"
            )

    def _read(self, path: Path) -> bytes:
        self._check_place(path)
        # Opening a pipe would wait for its writer, so the kind is looked at first.
        if not stat.S_ISREG(path.stat().st_mode):
            raise BadInputError("the item is not a regular file", got="a pipe, socket or device", wanted="a file")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size <= self._max_item_bytes:
                content = file.read(self._max_item_bytes + 1)
                size = len(content)
        if size > self._max_item_bytes:
            raise BadInputError(
                "the file is too large",
                got=f"{size} bytes",
                wanted=f"at most {self._max_item_bytes} (ingest.max_item_bytes)",
            )
        return content

    def _refuse(self, error: OSError) -> None:
        raise self._unreachable(f"{error.filename}: {error.strerror}") from error

    def _unreachable(self, got: str) -> ConfigError:
        return ConfigError(
            f"the source {self.name} cannot be listed",
            where=str(self._root),
            got=got,
            wanted="a folder that can be read",
            next_step=f"correct sources.{self.name}.root, or mount the folder; nothing was changed",
        )


def _printable(name: str) -> str:
    """Return a file name as valid text; bytes that are not UTF-8 are spelled out."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _modified_at(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.lstat().st_mtime, UTC)
    except (OSError, OverflowError, ValueError):
        return None
