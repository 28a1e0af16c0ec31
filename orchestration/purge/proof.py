"""The proof of a purge: every file below the home, referenced by anything or not, decoded and looked through.

Parquet pages and footers, Delta logs and checkpoints, Arrow files, JSON, SQLite and compressed files are read by their
own readers; Redis's files are loaded by a server on a copy, which gives each key's bytes as they are stored; what is
none of these is taken for text. A trace may be split by no encoding that is in use here, and is found wherever it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from orchestration.runner import target
from ragstone.lake.decode import UndecodableError, decoded, kind_of
from ragstone.lake.purge_collect import living_texts
from ragstone.lake.purge_record import FOLDER, PurgeRecord, record_path
from ragstone.runtime.redis_copy import stored_values, unloaded_files
from ragstone.runtime.settings import Settings
from ragstone.runtime.traces import leaves, says

_REDIS: Final = "redis"
# What is in here is looked at through a server that loads it.
_LOADED: Final = "appendonlydir"


@dataclass(frozen=True)
class Finding:
    """A trace: the file, below the home, and how it shows there."""

    file: str
    how: str


@dataclass
class Proof:
    """What was looked at: `files` counts them by kind, `undecoded` names the landing objects no reader could read.

    `outside` names what stands below the home but is the owner's: folders that sources are read from.
    """

    findings: list[Finding] = field(default_factory=list)
    files: Counter[str] = field(default_factory=Counter)
    undecoded: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)


def prove(settings: Settings, record: PurgeRecord) -> Proof:
    """Return what is left of a document below the home; nothing, when there is no finding."""
    unloaded = unloaded_files(settings)
    proof = Proof(outside=[str(folder) for folder in settings.folders.values() if folder.is_relative_to(settings.home)])
    for path in _files(settings, record):
        name = str(path.relative_to(settings.home))
        if path.is_relative_to(settings.home / _REDIS / _LOADED) and path not in unloaded:
            proof.files["redis"] += 1
            continue
        proof.files[kind_of(path)] += 1
        _look_into(proof, record, path, name)
    _look_into_redis(proof, record, settings)
    _look_into_index(proof, record, settings)
    return proof


def _files(settings: Settings, record: PurgeRecord) -> Iterator[Path]:
    own = record_path(settings, record.document_id)
    outside = [folder for folder in settings.folders.values() if folder.is_relative_to(settings.home)]
    for path in sorted(settings.home.rglob("*")):
        if path.is_file() and path != own and not any(path.is_relative_to(folder) for folder in outside):
            yield path


def _look_into(proof: Proof, record: PurgeRecord, path: Path, name: str) -> None:
    if any(record.traces.match(text) for text in (name,) if not name.startswith(FOLDER)):
        proof.findings.append(Finding(name, "its name"))
    chunks = (
        frozenset(record.chunk_ids) if name.startswith("lake/silver/") and "_delta_log" not in name else frozenset()
    )
    try:
        for where, value in decoded(path):
            if any(text in chunks or record.traces.match(text) for text in leaves(value)):
                proof.findings.append(Finding(name, where))
                return
    except UndecodableError as broken:
        # What a source gave may be broken and stays as it came; of all else every byte has to be accounted for.
        if name.startswith("landing/"):
            proof.undecoded.append(f"{name}: {broken}")
        else:
            proof.findings.append(Finding(name, f"cannot be decoded: {broken}"))


def _look_into_redis(proof: Proof, record: PurgeRecord, settings: Settings) -> None:
    """Look at every key as it is stored. A run that a living document says, as it stands there, is that document's."""
    suspects: dict[bytes, set[str]] = {}
    for key, value in stored_values(settings):
        if runs := {*record.traces.stored_runs(key), *record.traces.stored_runs(value)}:
            suspects[key] = runs
    unexplained = set().union(*suspects.values())
    for text in living_texts(settings.lake_root) if unexplained else ():
        unexplained -= {run for run in unexplained if says(text, run)}
    proof.findings += [Finding(_REDIS, f"key {key!r}") for key, runs in suspects.items() if runs & unexplained]


def _look_into_index(proof: Proof, record: PurgeRecord, settings: Settings) -> None:
    rows: dict[str, Any] = target("serving.index.purge:foreign_rows")(settings, frozenset(record.chunk_ids))
    proof.findings += [
        Finding(f"index/{version}", f"{count} of its vectors") for version, count in rows.items() if count
    ]
