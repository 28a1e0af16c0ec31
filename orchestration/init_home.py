"""Setting a home up for a folder of documents: its layer of settings, and what the folder holds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from orchestration.runner import target
from ragstone.lake.landing import LandingZone
from ragstone.runtime.errors import UsageError
from ragstone.runtime.setting_layers import from_yaml
from ragstone.runtime.settings import Settings

CONF_NAME = "conf.yaml"
_HEADER = """\
# The settings of this home. Every setting, with its default and its meaning, is in docs/settings.md.
# A source takes `include` and `exclude` globs, `acl` (groups that may read it) and `metadata`.
"""


@dataclass(frozen=True)
class AddedSource:
    """A source as it was written, and the file it was written to."""

    name: str
    root: Path
    conf: Path


@dataclass(frozen=True)
class Survey:
    """What a folder holds: files by suffix that the source takes, and that it leaves. Hidden files are not counted."""

    taken: dict[str, int]
    left: dict[str, int]
    taken_bytes: int


def add_source(settings: Settings, folder: Path, name: str | None, acl: tuple[str, ...]) -> AddedSource:
    """Write a source for `folder` into the home's conf; one that is there already is left as it is.

    Raises UsageError when the folder is not one, or when the name stands for another folder.
    """
    root = folder.absolute()
    if not root.is_dir():
        raise UsageError("that is not a folder", got=str(folder), wanted="a folder with documents")
    if root.is_relative_to(settings.home):
        raise UsageError(
            "that folder lies in the home, whose files are no documents",
            where=str(settings.home),
            got=str(root),
            wanted="a folder outside the home",
        )
    conf = settings.home / CONF_NAME
    layer = from_yaml(conf)
    chosen = name or _slug(root.name)
    sources: dict[str, Any] = layer.setdefault("sources", {})
    known = sources.get(chosen)
    if known is not None and Path(known["root"]).absolute() != root:
        raise UsageError(
            "that source stands for another folder",
            where=str(conf),
            got=f"{chosen}: {known['root']}",
            wanted=str(root),
            next_step="ragstone init FOLDER --name ANOTHER",
        )
    if known is None:
        sources[chosen] = {"kind": "files", "root": str(root), "acl": list(acl)}
        if settings.home.is_relative_to(root):
            sources[chosen]["exclude"] = [f"{settings.home.relative_to(root)}/**"]
        write_conf(settings.home, layer)
    return AddedSource(chosen, root, conf)


def write_conf(home: Path, layer: dict[str, Any]) -> Path:
    """Write a home's own layer of settings, at once, and return its path."""
    home.mkdir(parents=True, exist_ok=True)
    path = home / CONF_NAME
    scratch = path.with_suffix(".new")
    scratch.write_text(_HEADER + yaml.safe_dump(layer, sort_keys=False, allow_unicode=True), "utf-8")
    return scratch.replace(path)


def survey(settings: Settings, name: str) -> Survey:
    """Return what a source's folder holds, by suffix, most frequent first, as the connector itself sees it."""
    root = settings.folders[name]
    connect, landing = target("spark_jobs.sources.connect:connect"), LandingZone(settings.landing_root)
    connector = connect(name, settings.sources[name], settings.ingest, settings.parsing, landing)
    taken = [Path(item.locator) for item in connector.items({})]
    every = {path for path in root.rglob("*") if path.is_file() and not _hidden(path, root)}
    return Survey(_by_suffix(taken), _by_suffix(every - set(taken)), sum(_size(path) for path in taken))


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _by_suffix(paths: Iterable[Path]) -> dict[str, int]:
    counted = Counter(path.suffix.lower() or "no suffix" for path in paths)
    return dict(counted.most_common())


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "documents"
