"""The rules of a dataset: two DQDL files in `conf/quality`, with the settings' limits filled in.

`<dataset>.rows.dqdl` holds what every row has to keep, `<dataset>.gate.dqdl` what a batch has to keep as a whole. They
are apart because Deequ marks every failing row of a rule about the whole, even when that rule passes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final

from ragstone.contracts.identity import stable_hash
from ragstone.contracts.tables import SILVER_CHUNKS
from ragstone.embedding.load import embedding_spec
from ragstone.runtime.errors import ConfigError
from ragstone.runtime.settings import Settings

EMBEDDINGS: Final = "silver.embeddings"

# Only a rule's name begins with a capital: `IsUnique "chunk_id"`, but `matches "^[a-z]+$"`.
_RULE_ON_COLUMN: Final = re.compile(r'\b[A-Z]\w*((?: "\w+")+)')
_COMMENT: Final = re.compile(r"^\s*#.*$", re.MULTILINE)


@dataclass(frozen=True)
class Rulesets:
    """The rules of one dataset as DQDL, limits filled in. `hash` changes with any rule or limit."""

    dataset: str
    rows: str
    gate: str

    @property
    def hash(self) -> str:
        """Return the identity of both rulesets."""
        return stable_hash("rulesets", self.rows, self.gate)


def load_rulesets(settings: Settings, dataset: str) -> Rulesets:
    """Return the rules of `bronze.documents`, `silver.chunks` or `silver.embeddings`. Raises ConfigError."""
    folder = settings.conf / "quality"
    limits = _limits(settings, dataset)
    rows, gate = (_filled(folder / f"{dataset}.{kind}.dqdl", limits) for kind in ("rows", "gate"))
    return Rulesets(dataset, rows, gate)


def _limits(settings: Settings, dataset: str) -> Mapping[str, object]:
    if dataset == SILVER_CHUNKS.name:
        return {"max_tokens": settings.chunking.max_tokens}
    if dataset == EMBEDDINGS:
        spec = embedding_spec(settings)
        return {"dim": spec.dim, "model_hash": spec.model_hash}
    return {}


def _filled(path: Path, limits: Mapping[str, object]) -> str:
    try:
        template = Template(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as unreadable:
        raise ConfigError(
            "a ruleset cannot be read", where=str(path), got=unreadable, wanted="DQDL: Rules = [ ... ]"
        ) from unreadable
    # A pattern may end in a plain "$", so only names in braces are limits.
    names = {found["braced"] for found in template.pattern.finditer(template.template) if found["braced"]}
    unknown = sorted(names - set(limits))
    if unknown:
        raise ConfigError(
            "a ruleset names limits that this dataset does not have",
            where=str(path),
            got=unknown,
            wanted=sorted(limits),
        )
    return template.safe_substitute(limits)


def columns_named(rules: str) -> set[str]:
    """Return the columns that DQDL rules are about."""
    return {name for names in _RULE_ON_COLUMN.findall(_COMMENT.sub("", rules)) for name in re.findall(r"\w+", names)}
