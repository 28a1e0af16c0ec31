"""What a home needs and whether it is there: each check names what is missing and the command that mends it."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from ragstone.runtime.errors import RagstoneError
from ragstone.runtime.settings import Settings

OK, MISSING, NOT_YET = "ok", "missing", "not yet"
# These were tried together; a different one of them reads tables or jars wrongly, some silently.
_TRIPLE: Final = {"pyspark": "3.5.9", "delta-spark": "3.3.3", "pydeequ": "1.7.0"}
_LLM_TIMEOUT_S: Final = 3.0
_FREE_BYTES: Final = 1_000_000_000


@dataclass(frozen=True)
class Finding:
    """One check's outcome. `mend` is a command, where there is one; `not yet` is no fault but a step to come."""

    check: str
    status: str
    found: str
    mend: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Run every check and return what each found, in the order in which things are needed. Nothing is raised."""
    return [_examined(name, check, settings) for name, check in CHECKS.items()]


def _examined(name: str, check: Callable[[Settings], Finding], settings: Settings) -> Finding:
    try:
        return check(settings)
    except RagstoneError as error:
        facts = error.facts()
        found = "; ".join([error.what, *(f"{key} {facts[key]}" for key in ("where", "got", "wanted") if key in facts)])
        return Finding(name, MISSING, found, facts.get("next", ""))


def _python(_: Settings) -> Finding:
    right = (3, 11) <= sys.version_info[:2] < (3, 13)
    return Finding("python", OK if right else MISSING, platform.python_version(), "" if right else "make install")


def _java(settings: Settings) -> Finding:
    from ragstone.runtime.java import java_home

    return Finding("java", OK, f"Java 17 at {java_home(settings)}")


def _libraries(_: Settings) -> Finding:
    found = {name: importlib.metadata.version(name) for name in _TRIPLE}
    told = ", ".join(f"{name} {version}" for name, version in found.items())
    wanted = ", ".join(f"{name} {version}" for name, version in _TRIPLE.items())
    return Finding("spark, delta, deequ", OK, told) if found == _TRIPLE else _wrong_libraries(told, wanted)


def _wrong_libraries(told: str, wanted: str) -> Finding:
    return Finding("spark, delta, deequ", MISSING, f"{told}; wanted {wanted}", "make install")


def _jars(settings: Settings) -> Finding:
    from ragstone.runtime.jars import jar_paths

    return Finding("jars", OK, f"{len(jar_paths(settings))} jars as locked, in {settings.assets / 'jars'}")


def _model(settings: Settings) -> Finding:
    from ragstone.embedding.load import load_embedder

    spec = load_embedder(settings).spec
    return Finding("model", OK, f"{spec.model_id}, {spec.dim} dimensions, space {spec.space}")


def _redis(settings: Settings) -> Finding:
    from ragstone.runtime.redis_server import check_redis

    address = check_redis(settings)
    return Finding("redis", OK, f"{address} answers")


def _sources(settings: Settings) -> Finding:
    gone = [str(root) for root in settings.folders.values() if not root.is_dir()]
    if gone:
        return Finding("sources", MISSING, f"no folder {', '.join(gone)}", f"correct {settings.home / 'conf.yaml'}")
    if not settings.sources:
        return Finding("sources", NOT_YET, "no source is set", "ragstone init FOLDER")
    return Finding("sources", OK, ", ".join(f"{name}: {source.place}" for name, source in settings.sources.items()))


def _lake(settings: Settings) -> Finding:
    from ragstone.contracts.tables import SILVER_CHUNKS
    from ragstone.lake.read import state

    living = state(settings.lake_root, SILVER_CHUNKS, columns=("chunk_id",)).num_rows
    if living == 0:
        return Finding("lake", NOT_YET, "no chunk in it", "ragstone run")
    return Finding("lake", OK, f"{living:,} living chunks")


def _registry(settings: Settings) -> Finding:
    from ragstone.features.apply import diff

    differences = diff(settings)
    if differences:
        return Finding("registry", NOT_YET, f"{len(differences)} definitions not applied", "ragstone features apply")
    return Finding("registry", OK, "as defined")


def _index(settings: Settings) -> Finding:
    from serving.index.pointer import read_pointer
    from serving.index.snapshot import open_current

    if read_pointer(settings.index_root) is None:
        return Finding("index", NOT_YET, "none is published", "ragstone run")
    manifest = open_current(settings).manifest
    return Finding("index", OK, f"version {manifest.version}, {manifest.count:,} chunks, every checksum right")


def _llm(settings: Settings) -> Finding:
    if settings.llm.url is None:
        return Finding("language model", OK, "none is set: answers are extractive, nothing leaves this machine")
    parts = urlsplit(settings.llm.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), _LLM_TIMEOUT_S).close()
    except OSError as unreachable:
        return Finding("language model", MISSING, f"{settings.llm.url}: {unreachable}", "unset RAGSTONE_LLM_URL")
    return Finding("language model", OK, f"{settings.llm.url} accepts connections")


def _clock(settings: Settings) -> Finding:
    """A clock behind the lake's newest row would write rows that lose against older ones."""
    from ragstone.contracts.tables import BRONZE_DOCUMENTS
    from ragstone.lake.read import query

    rows = query(settings.lake_root, "SELECT max(fetched_at) AS newest FROM bronze", bronze=BRONZE_DOCUMENTS)
    newest, now = rows["newest"][0].as_py(), datetime.now(UTC)
    if newest is not None and newest > now:
        return Finding("clock", MISSING, f"{now:%F %T} UTC, but the lake knows {newest:%F %T}", "set the clock")
    return Finding("clock", OK, f"{now:%F %T} UTC")


def _disk(settings: Settings) -> Finding:
    place = next(folder for folder in (settings.home, *settings.home.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    status = OK if free > _FREE_BYTES else MISSING
    return Finding("disk", status, f"{free / 1e9:.1f} GB free at {place}", "" if status == OK else "free some")


CHECKS: Final[dict[str, Callable[[Settings], Finding]]] = {
    "python": _python,
    "java": _java,
    "spark, delta, deequ": _libraries,
    "jars": _jars,
    "model": _model,
    "disk": _disk,
    "clock": _clock,
    "redis": _redis,
    "sources": _sources,
    "lake": _lake,
    "registry": _registry,
    "index": _index,
    "language model": _llm,
}
