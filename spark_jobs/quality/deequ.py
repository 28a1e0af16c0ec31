"""The only code that calls Deequ: DQDL rules in, verdicts out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql

from ragstone.runtime.errors import ConfigError

FAILED_RULES: Final = "failed_rules"
REJECTED: Final = "rejected"
# The column that Deequ adds to each row it has judged.
_ROW_FAILURES: Final = "DataQualityRulesFail"


@dataclass(frozen=True)
class Verdict:
    """What Deequ says of one rule: whether it passed, why not, and the metrics it computed, by name."""

    rule: str
    passed: bool
    reason: str | None
    metrics: dict[str, float]


def judge_rows(measured: DataFrame, ruleset: str) -> tuple[DataFrame, list[Verdict]]:
    """Judge every row, and return the rows with what became of each, and a verdict per rule on all rows together.

    The rows come back, in another order, with `failed_rules` (array<string>, the rules as written) and `rejected` (1
    when there are any, else 0). Raises ConfigError when the rules cannot be parsed.
    """
    judged = _evaluate("processRows", measured, ruleset)
    failures = sql.col(_ROW_FAILURES)
    rows = judged["rowLevelOutcomes"].select(
        *measured.columns, failures.alias(FAILED_RULES), (sql.size(failures) > 0).cast("int").alias(REJECTED)
    )
    return rows, _verdicts(judged["ruleOutcomes"])


def judge_batch(measured: DataFrame, ruleset: str) -> list[Verdict]:
    """Judge the rows as a whole and return a verdict per rule. Raises ConfigError when the rules cannot be parsed."""
    return _verdicts(_evaluate("process", measured, ruleset))


def _evaluate(method: str, measured: DataFrame, ruleset: str) -> Any:
    # pydeequ can only be imported where SPARK_VERSION is set, which opening the session does.
    from pydeequ.dqdl import EvaluateDataQuality

    spark = measured.sparkSession
    _check_syntax(spark, ruleset)
    return getattr(EvaluateDataQuality, method)(spark, measured, ruleset)


def _check_syntax(spark: SparkSession, ruleset: str) -> None:
    """Parse the rules alone, silently: the parser greets its first use by naming versions of its generator."""
    jvm: Any = spark.sparkContext._jvm
    stderr = jvm.System.err
    jvm.System.setErr(jvm.java.io.PrintStream(jvm.java.io.OutputStream.nullOutputStream()))
    try:
        jvm.software.amazon.glue.dqdl.parser.DQDLParser().parse(ruleset)
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
    rows = outcomes.collect()
    verdicts = [
        Verdict(row.Rule, row.Outcome == "Passed", row.FailureReason, row.EvaluatedMetrics or {}) for row in rows
    ]
    return sorted(verdicts, key=lambda verdict: verdict.rule)
