"""Quality reports: one JSON document per run and dataset, written by the audits, read by people and commands.

Reading them needs no JVM. A report is named `<run_id>-<dataset>` and lies in `<home>/reports/<name>.json`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from ragstone.lake import ops
from ragstone.runtime.errors import ContractError, NotFoundError
from ragstone.runtime.settings import Settings

PASSED: Final = "passed"
FAILED: Final = "failed"
BLOCKED: Final = "blocked"
GATE: Final = "gate"
ROW: Final = "row"
WARN: Final = "warn"
ANOMALY: Final = "anomaly"
# What a rule does that is not kept: stop the batch, set the row aside, or be told of.
SEVERITIES: Final = {GATE: "block", ROW: "quarantine", WARN: "warn", ANOMALY: "warn"}


@dataclass(frozen=True)
class RuleOutcome:
    """What became of one rule. `outcome` is passed or failed; `rule` is the rule as written.

    `kind` is gate, row, warn or anomaly: a metric held against its own history. `failed_rows` counts the rows that
    broke a row rule and is 0 for all others. `reason` is Deequ's own sentence, or how far a metric is off.
    """

    kind: str
    rule: str
    outcome: str
    failed_rows: int = 0
    reason: str | None = None

    @property
    def severity(self) -> str:
        """Return what the rule does when it is not kept: block, quarantine or warn."""
        return SEVERITIES[self.kind]


@dataclass(frozen=True)
class QualityReport:
    """One audit: `rows` were looked at, `rejected` of them set aside, and the gate `passed` or `blocked` the rest.

    `table_version` is the version of the dataset's table before the audit, -1 when there was none. `metrics` are
    Deequ's, by name, such as `Column.text_hash.Uniqueness`; one that is not a finite number is None. `mean_sample` has
    the means of the first elements of a batch of vectors, for the next to be held against.
    """

    run_id: str
    step: str
    dataset: str
    verdict: str
    rows: int
    rejected: int
    table_version: int
    ruleset_hash: str
    recorded_at: datetime
    seconds: float
    engine: Mapping[str, str]
    rules: tuple[RuleOutcome, ...]
    metrics: Mapping[str, float | None]
    mean_sample: Sequence[float] = ()

    @property
    def name(self) -> str:
        """Return the report's name, which is also its file's."""
        return f"{self.run_id}-{self.dataset}"

    @property
    def failed_gate_rules(self) -> tuple[str, ...]:
        """Return the gate rules that failed, as written; empty when the verdict is passed."""
        return tuple(rule.rule for rule in self.rules if rule.kind == GATE and rule.outcome == FAILED)

    @property
    def warnings(self) -> tuple[RuleOutcome, ...]:
        """Return the rules that were not kept and only warn."""
        return tuple(rule for rule in self.rules if rule.severity == "warn" and rule.outcome == FAILED)


def record_report(settings: Settings, report: QualityReport) -> Path:
    """Write a report, append its outcomes and metrics to the ops tables, and return the report's path."""
    path = write_report(settings.reports_root, report)
    shared = {"run_id": report.run_id, "dataset": report.dataset, "recorded_at": report.recorded_at}
    outcomes = [{**shared, **asdict(rule), "ruleset_hash": report.ruleset_hash} for rule in report.rules]
    ops.append_quality_results(settings.lake_root, outcomes)
    # Only accepted runs are history that later runs may be compared with.
    accepted = report.verdict == PASSED
    measured = [
        {**shared, "metric": name, "value": value, "accepted": accepted}
        for name, value in _finite(report.metrics).items()
        if value is not None
    ]
    ops.append_quality_metrics(settings.lake_root, measured)
    return path


def write_report(reports: Path, report: QualityReport) -> Path:
    """Write a report into the folder and return its path; a reader sees the whole report or none."""
    reports.mkdir(parents=True, exist_ok=True)
    path = reports / f"{report.name}.json"
    record = {**asdict(report), "recorded_at": report.recorded_at.isoformat(), "metrics": _finite(report.metrics)}
    scratch = path.with_suffix(".json.part")
    scratch.write_text(json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")
    return scratch.replace(path)


def list_reports(reports: Path, run_id: str | None = None) -> list[QualityReport]:
    """Return all reports in the folder, or those of one run, newest first. Raises ContractError for a broken one."""
    found = [_load(path) for path in reports.glob(f"{run_id}-*.json" if run_id else "*.json")]
    return sorted(found, key=lambda report: (report.recorded_at, report.name), reverse=True)


def last_mean_sample(reports: Path, dataset: str) -> Sequence[float]:
    """Return the `mean_sample` of the newest accepted report of a dataset that has one, empty when none has."""
    # A run's name begins with its time, so the newest comes first.
    for path in sorted(reports.glob(f"*-{dataset}.json"), reverse=True):
        report = _load(path)
        if report.verdict == PASSED and report.mean_sample:
            return report.mean_sample
    return ()


def read_report(reports: Path, name: str) -> QualityReport:
    """Return one report by its name. Raises NotFoundError, or ContractError when it cannot be read."""
    # Looked up among the files there are, so that no name can lead out of the folder.
    known = {path.stem: path for path in reports.glob("*.json")}
    if name not in known:
        raise NotFoundError(
            "there is no such quality report",
            where=str(reports),
            got=name,
            wanted="a name from the list",
            next_step="list the reports with `ragstone quality`",
        )
    return _load(known[name])


def _load(path: Path) -> QualityReport:
    try:
        record: dict[str, Any] = json.loads(path.read_text("utf-8"))
        rules = tuple(RuleOutcome(**rule) for rule in record.pop("rules"))
        recorded_at = datetime.fromisoformat(record.pop("recorded_at"))
        return QualityReport(**record, rules=rules, recorded_at=recorded_at)
    except (ValueError, TypeError, KeyError) as broken:
        raise ContractError("a quality report cannot be read", where=str(path), got=broken) from broken


def _finite(metrics: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: value if value is not None and math.isfinite(value) else None for name, value in metrics.items()}
