"""A small company whose documents have been through the whole pipeline, for the promises to be checked on."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from orchestration.pipeline import steps_between
from orchestration.runner import run_step, started_run_id
from ragstone.contracts.identity import document_id
from ragstone.contracts.records import Principal, StepResult
from ragstone.contracts.tables import STATIC_TABLES, TableSpec, embeddings
from ragstone.embedding.load import load_embedder
from ragstone.features.online import OnlineReader
from ragstone.lake.delta import table_version
from ragstone.runtime.redis_server import online_client
from ragstone.runtime.settings import Settings, load_settings
from serving.index.snapshot import open_current
from serving.retrieval.results import Retrieval
from serving.retrieval.retriever import Retriever

ANYONE = Principal("anonymous", frozenset({"public"}))
DIRECTOR = Principal("director", frozenset({"public", "board"}))

HANDBOOK = {
    "kiln.md": "# The kiln\n\nThe old kiln at Aldermoor was fired with beech wood. It reached 1240 degrees.\n\n"
    "## Glazes\n\nGlazes were mixed from river clay and ash. Potters called the green one heron glaze.\n",
    "ferry.md": "# The ferry\n\nThe ferry to Skarvik leaves at seven every morning. In winter it carries the post.\n",
    "bees.md": "# Bees\n\nA hive of the upland bee winters on fourteen kilograms of honey.\n",
    "bread.txt": "Rye bread from the village oven keeps for nine days. The sourdough was begun in 1911.\n",
    "clock.rst": "The clock\n=========\n\nThe tower clock loses four minutes a week and is wound on Thursdays.\n",
    "bridge.html": "<html><body><h1>The bridge</h1><p>The iron bridge carries forty tonnes.</p></body></html>",
}
BOARD = {"payroll.md": "# Payroll\n\nThe payroll password hint is the name of the director's parrot.\n"}


@dataclass(frozen=True)
class Company:
    """A home and the folder its two sources read: `handbook` for everyone, `board` for the board."""

    settings: Settings
    folder: Path

    def run(self, first: str | None = None, last: str | None = None) -> Mapping[str, StepResult]:
        """Run the pipeline, or a part of it, and return each step's result by name."""
        run_id = started_run_id()
        return {step.name: run_step(self.settings, run_id, step).result for step in steps_between(first, last)}

    def write(self, name: str, content: str | bytes, source: str = "handbook") -> None:
        """Write one of the company's files."""
        path = self.folder / source / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def document_id(self, name: str, source: str = "handbook") -> str:
        """Return the identity of the document that a file is."""
        return document_id(source, name)

    def retrieve(self, question: str, principal: Principal = ANYONE, k: int = 4) -> Retrieval:
        """Return what the service would retrieve for a question now."""
        return Retriever(self.settings, load_embedder(self.settings), lambda: self.snapshot, self._reader).retrieve(
            question, principal, k
        )

    def texts(self, question: str, principal: Principal = ANYONE) -> str:
        """Return the passages retrieved for a question, joined."""
        return "\n".join(hit.chunk.text for hit in self.retrieve(question, principal).hits)

    @property
    def snapshot(self) -> Any:
        """Return the published index."""
        return open_current(self.settings)

    @cached_property
    def _reader(self) -> OnlineReader:
        return OnlineReader(self.settings)

    @property
    def tables(self) -> tuple[TableSpec, ...]:
        """Return every table outside ops."""
        spec = load_embedder(self.settings).spec
        return tuple(t for t in (*STATIC_TABLES, embeddings(spec.space, spec.dim)) if not t.name.startswith("ops."))

    def fingerprint(self) -> dict[str, object]:
        """Return what may not change when nothing has changed: lake outside ops, registry, Redis, index, landing."""
        home = self.settings.home
        versions: dict[str, object] = {spec.name: table_version(self.settings.lake_root, spec) for spec in self.tables}
        files = sorted(path for part in ("index", "landing", "registry") for path in (home / part).rglob("*"))
        # Locks are taken and given back; they hold nothing.
        contents = {str(path.relative_to(home)): _digest(path) for path in files if path.is_file()}
        return {**versions, **contents, "redis": self.redis_content()}

    def redis_content(self) -> dict[bytes, bytes]:
        """Return every key of the online store with its serialised value."""
        with online_client(self.settings) as client:
            return {key: client.dump(key) for key in sorted(client.scan_iter(count=1_000))}


def company_settings(home: Path, folder: Path, **sections: Any) -> Settings:
    """Return the settings of a company whose files are in `folder`."""
    sources = {
        "handbook": {"root": str(folder / "handbook"), "acl": ["public"]},
        "board": {"root": str(folder / "board"), "acl": ["board"]},
    }
    return load_settings(home=home, sources=sources, **sections)


def found(home: Path, folder: Path) -> Company:
    """Return a company with its files written and nothing ingested."""
    company = Company(company_settings(home, folder), folder)
    for source, files in (("handbook", HANDBOOK), ("board", BOARD)):
        (folder / source).mkdir(parents=True)
        for name, content in files.items():
            company.write(name, content, source)
    return company


def branch(company: Company, root: Path) -> Company:
    """Return a company of its own with the same history, brought online, for a check that changes it."""
    home, folder = root / "home", root / "files"
    shutil.copytree(company.folder, folder)
    for part in ("landing", "lake", "index"):
        shutil.copytree(company.settings.home / part, home / part)
    copy = Company(company_settings(home, folder), folder)
    copy.run("materialize", "materialize")
    return copy


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
