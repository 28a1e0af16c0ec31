"""The only code that calls Deequ: DQDL rules in, verdicts out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as sql

from ragstone.runtime.errors import ConfigError
from spark_jobs.quality.dqdl import ruleset

FAILED_RULES: Final = "failed_rules"
REJECTED: Final = "rejected"
# The column that Deequ adds to each row it has judged.
_ROW_FAILURES: Final = "DataQualityRulesFail"
_WHERE: Final = re.compile(r' where "([^"]*)"')


@dataclass(frozen=True)
class Verdict:
    """What Deequ says of one rule: whether it passed, why not, and the metrics it computed, by name."""

    rule: str
    passed: bool
    reason: str | None
    metrics: dict[str, float]


def judge_rows(measured: DataFrame, rules: Sequence[str]) -> tuple[DataFrame, list[Verdict]]:
    """Judge every row, and return the rows with what became of each, and a verdict per rule on all rows together.

    The rows come back, in another order, with `failed_rules` (array<string>, the rules as written) and `rejected` (1
    when there are any, else 0). Raises ConfigError when the rules cannot be parsed.
    """
    _check_syntax(measured.sparkSession, rules)
    judged = _evaluate("processRows", measured, rules)
    failures = sql.col(_ROW_FAILURES)
    rows = judged["rowLevelOutcomes"].select(
        *measured.columns, failures.alias(FAILED_RULES), (sql.size(failures) > 0).cast("int").alias(REJECTED)
    )
    return rows, _verdicts(judged["ruleOutcomes"])


def judge_batch(measured: DataFrame, gate: Sequence[str], warn: Sequence[str]) -> tuple[list[Verdict], list[Verdict]]:
    """Judge the rows as a whole, in one pass, and return a verdict per rule of the gate and per rule that only warns.

    A rule that stands in both is one of the gate. Raises ConfigError when the rules cannot be parsed.
    """
    spark = measured.sparkSession
    blocking = _check_syntax(spark, gate)
    told = _check_syntax(spark, warn) - blocking
    if not blocking | told:
        return [], []
    verdicts = _verdicts(_evaluate("process", measured, [*gate, *warn]))
    return [verdict for verdict in verdicts if verdict.rule not in told], [v for v in verdicts if v.rule in told]


def _evaluate(method: str, measured: DataFrame, rules: Sequence[str]) -> Any:
    # pydeequ can only be imported where SPARK_VERSION is set, which opening the session does.
    from pydeequ.dqdl import EvaluateDataQuality

    return getattr(EvaluateDataQuality, method)(measured.sparkSession, measured, ruleset(rules))


def _check_syntax(spark: SparkSession, rules: Sequence[str]) -> set[str]:
    """Parse the rules alone, silently, for the parser greets its first use by naming versions of its generator.

    Return the rules as Deequ spells them in its outcomes.
    """
    if not rules:
        return set()
    jvm: Any = spark.sparkContext._jvm
    stderr = jvm.System.err
    jvm.System.setErr(jvm.java.io.PrintStream(jvm.java.io.OutputStream.nullOutputStream()))
    try:
        parsed = jvm.software.amazon.glue.dqdl.parser.DQDLParser().parse(ruleset(rules))
        return {rule.toString() for rule in parsed.getRules()}
    except (Py4JJavaError, PySparkException) as refused:
        raise ConfigError(
            "rules are not DQDL that Deequ understands",
            where="conf/quality",
            got=str(refused).splitlines()[0],
            wanted="Rules = [ ... ]",
        ) from refused
    finally:
        jvm.System.setErr(stderr)


def _verdicts(outcomes: DataFrame) -> list[Verdict]:
    """Return the outcomes ordered by rule: Deequ keeps no order."""
    verdicts = [
        Verdict(row.Rule, row.Outcome == "Passed", row.FailureReason, _metrics(row)) for row in outcomes.collect()
    ]
    return sorted(verdicts, key=lambda verdict: verdict.rule)


def _metrics(row: Row) -> dict[str, float]:
    """Return the metrics of a rule by name; one about some of the rows is no metric of all of them."""
    bound = _WHERE.search(row.Rule)
    return {
        f"{name} where {bound[1]}" if bound else name: value for name, value in (row.EvaluatedMetrics or {}).items()
    }
