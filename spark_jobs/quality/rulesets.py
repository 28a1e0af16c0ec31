"""The rules of a dataset: DQDL files in `conf/quality`, one per severity, with the settings' limits filled in.

`<dataset>.gate.dqdl` holds what a batch has to keep as a whole (severity block), `<dataset>.rows.dqdl` what every row
has to keep (quarantine), `<dataset>.warn.dqdl` what is only told of when it is not kept (warn). Gate and rows are apart
because Deequ marks every failing row of a rule about the whole, even when that rule passes.

`sources/<source>/<dataset>.<kind>.dqdl` extends them for the rows of one source: its rules are added, and each line
`# without: RULE` takes a rule of the table's own file away from that source. A line `# watch: METRIC` in a table's
warnings has a metric held against its history.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import Template
from typing import Final

from ragstone.contracts.identity import stable_hash
from ragstone.contracts.tables import SILVER_CHUNKS
from ragstone.embedding.load import embedding_spec
from ragstone.runtime.errors import ConfigError
from ragstone.runtime.settings import Settings
from spark_jobs.quality.dqdl import exempt, rules_in, same_rule, scoped, told

EMBEDDINGS: Final = "silver.embeddings"
KINDS: Final = ("rows", "gate", "warn")

# Only a rule's name begins with a capital: `IsUnique "chunk_id"`, but `matches "^[a-z]+$"`.
_RULE_ON_COLUMN: Final = re.compile(r'\b[A-Z]\w*((?: "\w+")+)')


@dataclass(frozen=True)
class SourceRules:
    """What one source adds to a dataset's rules, and which of them it is exempt from, by kind."""

    added: Mapping[str, Sequence[str]]
    without: Mapping[str, Sequence[str]]

    def is_without(self, kind: str, rule: str) -> bool:
        """Return whether the source is exempt from a rule of the table."""
        return any(same_rule(rule, left_out) for left_out in self.without[kind])


@dataclass(frozen=True)
class Rulesets:
    """The rules of one dataset, limits filled in, and the metrics to be `watched`.

    `hash` changes with any rule or limit of any source.
    """

    dataset: str
    rows: tuple[str, ...]
    gate: tuple[str, ...]
    warn: tuple[str, ...]
    watched: tuple[str, ...]
    sources: Mapping[str, SourceRules]
    hash: str

    def applying_to(self, sources: Collection[str]) -> Rulesets:
        """Return the rules for a batch with rows of these sources, those of each source bound to its rows.

        Rules of other sources are left out: about no rows at all, nearly every rule fails.
        """
        rows, gate, warn = ((*self._base(kind, sources), *self._added(kind, sources)) for kind in KINDS)
        return replace(self, rows=rows, gate=gate, warn=warn, sources={})

    def _base(self, kind: str, sources: Collection[str]) -> Iterator[str]:
        for rule in getattr(self, kind):
            exempted = [name for name in self._concerned(sources) if self.sources[name].is_without(kind, rule)]
            if not exempted:
                yield rule
            elif set(sources) - set(exempted):
                yield exempt(rule, exempted)

    def _added(self, kind: str, sources: Collection[str]) -> Iterator[str]:
        for name in self._concerned(sources):
            yield from (scoped(rule, name) for rule in self.sources[name].added[kind])

    def _concerned(self, sources: Collection[str]) -> list[str]:
        return [name for name in sorted(self.sources) if name in sources]


def load_rulesets(settings: Settings, dataset: str) -> Rulesets:
    """Return the rules of `bronze.documents`, `silver.chunks` or `silver.embeddings`. Raises ConfigError."""
    folder, limits = settings.conf / "quality", _limits(settings, dataset)
    texts = {kind: _filled(folder / f"{dataset}.{kind}.dqdl", limits) for kind in ("rows", "gate")}
    texts["warn"] = _filled_where_there(folder / f"{dataset}.warn.dqdl", limits)
    rules = {kind: rules_in(text, f"{dataset}.{kind}.dqdl") if text else () for kind, text in texts.items()}
    extensions, extending_texts = {}, []
    for source in sources_with_rules(settings, dataset):
        own = folder / "sources" / source
        filled = {kind: _filled_where_there(own / f"{dataset}.{kind}.dqdl", limits) for kind in KINDS}
        extending_texts += [source, *filled.values()]
        extensions[source] = _extension(source, dataset, filled, rules)
    identity = stable_hash("rulesets", *texts.values(), *extending_texts)
    watched = told(texts["warn"], "watch")
    return Rulesets(dataset, rules["rows"], rules["gate"], rules["warn"], watched, extensions, identity)


def sources_with_rules(settings: Settings, dataset: str) -> list[str]:
    """Return the sources that have rules of their own for a dataset, by name."""
    found = (settings.conf / "quality" / "sources").glob(f"*/{dataset}.*.dqdl")
    return sorted({path.parent.name for path in found})


def columns_named(rules: str) -> set[str]:
    """Return the columns that DQDL rules are about."""
    return {name for names in _RULE_ON_COLUMN.findall(rules) for name in re.findall(r"\w+", names)}


def _filled_where_there(path: Path, limits: Mapping[str, object]) -> str:
    return _filled(path, limits) if path.is_file() else ""


def _extension(source: str, dataset: str, texts: Mapping[str, str], base: Mapping[str, Sequence[str]]) -> SourceRules:
    added, without = {}, {}
    for kind, text in texts.items():
        where = f"sources/{source}/{dataset}.{kind}.dqdl"
        added[kind] = rules_in(text, where) if text else ()
        without[kind] = told(text, "without")
        unknown = [rule for rule in without[kind] if not any(same_rule(rule, known) for known in base[kind])]
        if unknown:
            raise ConfigError(
                "a source is exempt from a rule that its table does not have",
                where=f"conf/quality/{where}",
                got="; ".join(unknown),
                wanted="; ".join(base[kind]),
            )
    return SourceRules(added, without)


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
