"""The audit: candidate rows are judged by Deequ before they are appended (write, audit, publish).

Rows that break a row rule go to quarantine with the rules they broke. When a rule of the gate is broken, nothing may be
appended. A rule that only warns, and a metric far from its history, are told of and stop nothing. Tombstones are not
judged, and where there are no other rows there is no gate to pass. Whatever the verdict, its rules and metrics go to
the ops tables and into one JSON report.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as sql

from ragstone.contracts.tables import SILVER_CHUNKS, TableSpec
from ragstone.embedding.load import embedding_spec
from ragstone.lake import quality_reports, quarantine
from ragstone.lake.delta import table_version
from ragstone.lake.metric_history import LEAST_ROWS, anomalies
from ragstone.lake.quality_reports import QualityReport, RuleOutcome
from ragstone.runtime.errors import ConfigError, QualityGateError
from ragstone.runtime.logging import get_logger
from ragstone.runtime.metrics import QUALITY_CHECK_FAILURES, QUALITY_WARNINGS
from ragstone.runtime.settings import Settings
from spark_jobs.persistence import settled
from spark_jobs.quality.batch_facts import BatchFacts, batch_facts, mean_drift, with_facts
from spark_jobs.quality.deequ import FAILED_RULES, REJECTED, Verdict, judge_batch, judge_rows
from spark_jobs.quality.measures import SAMPLED_ELEMENTS, Measurement, measurement
from spark_jobs.quality.rejections import passed_entries, rejections
from spark_jobs.quality.rulesets import Rulesets, columns_named, load_rulesets

_DEEQU_JAR: Final = re.compile(r"deequ-([^/,]+)\.jar")
_NO_FACTS: Final[Mapping[str, float | None]] = {}


@dataclass(frozen=True)
class AuditOutcome:
    """What passed: `accepted` has the candidates' columns and holds the accepted rows and every tombstone.

    `rows` were judged and `rejected` of them set aside: `rejected_keys` has their keys, in the order of the dataset's
    key columns. `report` is None when there was nothing to judge.
    """

    accepted: DataFrame
    rows: int
    rejected_keys: Sequence[tuple[Any, ...]]
    ruleset_hash: str
    report: Path | None

    @property
    def rejected(self) -> int:
        """Return how many rows were set aside."""
        return len(self.rejected_keys)


@dataclass(frozen=True)
class _Audit:
    """Who asks, about which table, under which rules."""

    settings: Settings
    run_id: str
    step: str
    spec: TableSpec
    rules: Rulesets


@dataclass(frozen=True)
class _Judgement:
    """What Deequ found: rows judged, those that failed, a verdict per rule, and entries of rows that now pass.

    `mean_sample` has the means of the first elements of the vectors that were judged.
    """

    rows: int
    failing: Sequence[Row]
    row_verdicts: Sequence[Verdict]
    gate_verdicts: Sequence[Verdict]
    warn_verdicts: Sequence[Verdict]
    mean_sample: Sequence[float]
    passed_entries: Sequence[str]


def audit_candidates(
    spark: SparkSession,
    settings: Settings,
    run_id: str,
    step: str,
    spec: TableSpec,
    candidates: DataFrame,
    parents: DataFrame | None = None,
    facts: Mapping[str, float | None] = _NO_FACTS,
) -> AuditOutcome:
    """Judge candidate rows of a table and return those that may be appended.

    `candidates` has the spec's columns, and perhaps others; it is read twice, by the audit and by the append, so it
    must give the same rows each time and is best persisted when it is costly. `parents` holds, under the same column
    name, the keys that candidates must refer to: document_id of every living document for chunks, chunk_id of every
    living chunk for embeddings; it must carry their source where a source has rules of its own. `facts` are what the
    caller knows of the batch as a whole, by the names in `measures.Measurement`. Raises QualityGateError when a gate
    rule fails; rejected rows are in quarantine then too. Raises ConfigError for rules that cannot be read.
    """
    started = time.perf_counter()
    way = measurement(spec)
    audit = _Audit(settings, run_id, step, spec, load_rulesets(settings, way.dataset))
    judgement = _judge(audit, way, way.measure(_living(candidates), parents, settings), facts)
    if judgement.rows == 0:
        return AuditOutcome(candidates, 0, (), audit.rules.hash, None)
    report = _report(spark, audit, judgement, time.perf_counter() - started)
    path = quality_reports.record_report(settings, report)
    _log(report, path)
    if report.verdict == quality_reports.BLOCKED:
        raise _blocked(report, path)
    # A chunk that passes is not looked at again, so its entry closes when it is written.
    if spec is not SILVER_CHUNKS:
        quarantine.resolve(settings.lake_root, judgement.passed_entries, run_id)
    rejected = [tuple(row[name] for name in way.key) for row in judgement.failing]
    accepted = _without(spark, candidates, way.key, rejected)
    return AuditOutcome(accepted, judgement.rows, rejected, audit.rules.hash, path)


def _judge(audit: _Audit, way: Measurement, rows: DataFrame, given: Mapping[str, float | None]) -> _Judgement:
    """Let Deequ judge measured rows and move failing ones to quarantine."""
    root, sampled = audit.settings.lake_root, SAMPLED_ELEMENTS if "sample" in rows.columns else 0
    with settled(rows) as measured:
        batch = batch_facts(measured, sampled, tell_sources=bool(audit.rules.sources))
        if batch.rows == 0:
            # Deequ fails nearly every rule on no rows at all.
            return _Judgement(0, (), (), (), (), (), ())
        rules = audit.rules.applying_to(batch.sources)
        _check_columns(rules, measured, way.facts)
        outcomes, row_verdicts = judge_rows(measured.drop("sample"), rules.rows)
        with settled(outcomes) as judged:
            failing = judged.filter(f"{REJECTED} = 1").collect()
            _check_applied(rules, row_verdicts, failing)
            facts = {**given, **_drift(audit, batch)}
            gate_verdicts, warn_verdicts = judge_batch(with_facts(judged, way.facts, facts), rules.gate, rules.warn)
            passed = passed_entries(root, audit.step, audit.spec.name, judged)
    quarantine.set_aside(root, rejections(audit.step, audit.spec.name, failing), audit.run_id)
    return _Judgement(batch.rows, failing, row_verdicts, gate_verdicts, warn_verdicts, batch.mean_sample, passed)


def _drift(audit: _Audit, batch: BatchFacts) -> dict[str, float | None]:
    """Return how far the mean of the vectors is from that of the last accepted run, where there are vectors."""
    if not batch.mean_sample:
        return {}
    before = quality_reports.last_mean_sample(audit.settings.reports_root, audit.spec.name)
    return {"mean_drift": mean_drift(before, batch.mean_sample, embedding_spec(audit.settings).dim)}


def _living(candidates: DataFrame) -> DataFrame:
    return candidates.filter("active") if "active" in candidates.columns else candidates


def _check_columns(rules: Rulesets, measured: DataFrame, facts: Sequence[str]) -> None:
    """Raise ConfigError for a rule about a column there is not: Deequ would blame every row for it."""
    of_rows, of_batch = (columns_named("\n".join(kinds)) for kinds in (rules.rows, (*rules.gate, *rules.warn)))
    unknown = (of_rows | of_batch - {REJECTED, *facts}) - set(measured.columns)
    if unknown:
        raise ConfigError(
            "a rule names a column that is not measured",
            where=f"conf/quality/{rules.dataset}",
            got=", ".join(sorted(unknown)),
            wanted=", ".join(sorted(measured.columns)),
        )


def _check_applied(rules: Rulesets, verdicts: Sequence[Verdict], failing: Sequence[Row]) -> None:
    """Raise ConfigError for a row rule that fails without a failing row: one about the batch as a whole."""
    applied = {rule for row in failing for rule in row[FAILED_RULES]}
    idle = {verdict.rule: verdict.reason for verdict in verdicts if not verdict.passed and verdict.rule not in applied}
    if idle:
        raise ConfigError(
            "a rule about the batch stands among the rules about rows",
            where=f"conf/quality/{rules.dataset}.rows.dqdl",
            got=idle,
            wanted=f"it in {rules.dataset}.gate.dqdl",
        )


def _any_failed(verdicts: Sequence[Verdict]) -> bool:
    return any(not verdict.passed for verdict in verdicts)


def _without(
    spark: SparkSession, candidates: DataFrame, key: Sequence[str], rejected: Sequence[tuple[Any, ...]]
) -> DataFrame:
    """Return the candidates but for the living ones whose key was rejected."""
    if not rejected:
        return candidates
    keys = spark.createDataFrame(rejected, candidates.select(*key).schema)
    accepted = _living(candidates).join(sql.broadcast(keys), list(key), "left_anti").select(*candidates.columns)
    return accepted.unionByName(candidates.filter("NOT active")) if "active" in candidates.columns else accepted


def _report(spark: SparkSession, audit: _Audit, judgement: _Judgement, seconds: float) -> QualityReport:
    failed = Counter(rule for row in judgement.failing for rule in row[FAILED_RULES])
    # Deequ may pass a rule whose column is null somewhere, and fail just those rows: the rows decide.
    row_outcomes = [_outcome(quality_reports.ROW, verdict, failed[verdict.rule]) for verdict in judgement.row_verdicts]
    gate_outcomes = [_outcome(quality_reports.GATE, verdict, 0) for verdict in judgement.gate_verdicts]
    warn_outcomes = [_outcome(quality_reports.WARN, verdict, 0) for verdict in judgement.warn_verdicts]
    verdicts = (*judgement.row_verdicts, *judgement.gate_verdicts, *judgement.warn_verdicts)
    metrics = {name: value for verdict in verdicts for name, value in verdict.metrics.items()}
    anomaly_outcomes = _anomalies(audit, judgement.rows, metrics)
    return QualityReport(
        run_id=audit.run_id,
        step=audit.step,
        dataset=audit.spec.name,
        verdict=quality_reports.BLOCKED if _any_failed(judgement.gate_verdicts) else quality_reports.PASSED,
        rows=judgement.rows,
        rejected=len(judgement.failing),
        table_version=table_version(audit.settings.lake_root, audit.spec),
        ruleset_hash=audit.rules.hash,
        recorded_at=datetime.now(UTC),
        seconds=round(seconds, 3),
        engine=_engine(spark),
        rules=(*gate_outcomes, *row_outcomes, *warn_outcomes, *anomaly_outcomes),
        metrics=metrics,
        mean_sample=judgement.mean_sample,
    )


def _anomalies(audit: _Audit, rows: int, metrics: Mapping[str, float]) -> list[RuleOutcome]:
    """Return the outcome of every watched metric: whether it is in line with the accepted runs before."""
    if rows < LEAST_ROWS:
        return []
    watched = {name: metrics[name] for name in audit.rules.watched if name in metrics}
    found = anomalies(audit.settings.lake_root, audit.spec.name, watched)
    passed, failed = quality_reports.PASSED, quality_reports.FAILED
    return [
        RuleOutcome(
            quality_reports.ANOMALY,
            f"{name} is in line with earlier runs",
            failed if name in found else passed,
            reason=str(found[name]) if name in found else None,
        )
        for name in watched
    ]


def _outcome(kind: str, verdict: Verdict, failed_rows: int) -> RuleOutcome:
    """Return a rule's outcome; a composite rule that passes keeps no reason, though Deequ gives that of its part."""
    if verdict.passed and not failed_rows:
        return RuleOutcome(kind, verdict.rule, quality_reports.PASSED)
    return RuleOutcome(kind, verdict.rule, quality_reports.FAILED, failed_rows, verdict.reason)


def _engine(spark: SparkSession) -> dict[str, str]:
    loaded = spark.sparkContext.getConf()
    jar = _DEEQU_JAR.search(f"{loaded.get('spark.jars', '')} {loaded.get('spark.driver.extraClassPath', '')}")
    return {"spark": spark.version, "deequ": jar[1] if jar else "unknown"}


def _log(report: QualityReport, path: Path) -> None:
    failed = report.failed_gate_rules
    QUALITY_CHECK_FAILURES.labels(check=report.dataset).inc(len(failed))
    facts = {"rows": report.rows, "rejected": report.rejected, "seconds": report.seconds, "report": str(path)}
    log = get_logger(__name__)
    QUALITY_WARNINGS.labels(check=report.dataset).inc(len(report.warnings))
    for warning in report.warnings:
        log.warning(
            "rule not kept", run_id=report.run_id, dataset=report.dataset, rule=warning.rule, got=warning.reason
        )
    if failed:
        log.error("gate failed", run_id=report.run_id, dataset=report.dataset, failed_rules=failed, **facts)
    else:
        log.info("gate passed", run_id=report.run_id, dataset=report.dataset, **facts)


def _blocked(report: QualityReport, path: Path) -> QualityGateError:
    reasons = [rule.reason for rule in report.rules if rule.rule in report.failed_gate_rules and rule.reason]
    return QualityGateError(
        f"the gate of {report.dataset} failed; nothing of this batch goes on",
        failed_rules=report.failed_gate_rules,
        report=str(path),
        where=f"step {report.step}, {report.rows} rows, {report.rejected} of them rejected",
        got="; ".join(reasons) or "a rule that did not hold",
        wanted=" and ".join(report.failed_gate_rules),
        next_step=f"read `ragstone quality --run {report.run_id}`, mend source or rules, run the step again",
    )
