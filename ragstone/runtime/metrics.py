"""Every Prometheus metric of Ragstone, declared here and nowhere else.

Base units, one prefix apart from the three names that dashboards share, and no user, session, document or question in
a label: each label takes a few known values only.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
    write_to_textfile,
)

REGISTRY: Final = CollectorRegistry()
EXPOSITION_TYPE: Final = CONTENT_TYPE_LATEST

ProcessCollector(registry=REGISTRY)

_REQUEST_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_STAGE_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_STEP_SECONDS: Final = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 1800, 3600, 7200)

# The pipeline.
PIPELINE_STEP_DURATION_SECONDS: Final = Histogram(
    "pipeline_step_duration_seconds",
    "How long one run of a pipeline step took.",
    ["step"],
    buckets=_STEP_SECONDS,
    registry=REGISTRY,
)
PIPELINE_ROWS: Final = Counter(
    "ragstone_pipeline_rows",
    "What a step did with the units it read: accepted, unchanged, quarantined; and rows written.",
    ["step", "outcome"],
    registry=REGISTRY,
)
INGEST_DOCUMENTS: Final = Counter(
    "ragstone_ingest_documents",
    "Source items seen by ingest: new, changed, unchanged, vanished, rejected.",
    ["source", "outcome"],
    registry=REGISTRY,
)
QUALITY_CHECK_FAILURES: Final = Counter(
    "ragstone_quality_check_failures",
    "Failed gate rules, by dataset.",
    ["check"],
    registry=REGISTRY,
)
QUALITY_WARNINGS: Final = Counter(
    "ragstone_quality_warnings",
    "Rules that were not kept and only warn, by dataset.",
    ["check"],
    registry=REGISTRY,
)

# The online store.
FEATURE_VIEW_ROWS: Final = Gauge(
    "ragstone_feature_view_rows", "Rows that the last materialization of a view wrote.", ["view"], registry=REGISTRY
)
FEATURE_VIEW_BYTES: Final = Gauge(
    "ragstone_feature_view_bytes",
    "Bytes that the last materialization of a view sent to Redis.",
    ["view"],
    registry=REGISTRY,
)
FEATURE_VIEW_SECONDS: Final = Gauge(
    "ragstone_feature_view_seconds", "How long the last materialization of a view took.", ["view"], registry=REGISTRY
)
FEATURE_VIEW_NEWEST_EVENT: Final = Gauge(
    "ragstone_feature_view_newest_event_timestamp_seconds",
    "The newest event time of a view that was brought online; now less this is its freshness.",
    ["view"],
    registry=REGISTRY,
)
ONLINE_AUDIT_ROWS: Final = Gauge(
    "ragstone_online_audit_rows", "Rows of a view that the last audit of values looked at.", ["view"], registry=REGISTRY
)
ONLINE_AUDIT_MISMATCHES: Final = Gauge(
    "ragstone_online_audit_mismatches",
    "Rows that the last audit found to be others online, or in the index, than in the lake.",
    ["view"],
    registry=REGISTRY,
)

# The chat service.
API_RESPONSE_TIME_SECONDS: Final = Histogram(
    "api_response_time_seconds",
    "From the request's first byte to the response's last, by route template.",
    ["method", "route", "status"],
    buckets=_REQUEST_SECONDS,
    registry=REGISTRY,
)
RETRIEVER_TOPK_HITS: Final = Histogram(
    "retriever_topk_hits",
    "How many of the k hits asked for passed the online gate.",
    ["k"],
    buckets=(0, 1, 2, 3, 4, 5, 10, 20, 50),
    registry=REGISTRY,
)
STAGE_DURATION_SECONDS: Final = Histogram(
    "ragstone_stage_duration_seconds",
    "How long one stage of a question took.",
    ["stage"],
    buckets=_STAGE_SECONDS,
    registry=REGISTRY,
)
RETRIEVAL_EMPTY: Final = Counter(
    "ragstone_retrieval_empty", "Questions for which no hit passed the gate.", registry=REGISTRY
)
GATE_DROPS: Final = Counter(
    "ragstone_gate_drops", "Hits the online gate dropped, by reason.", ["reason"], registry=REGISTRY
)
ANSWERS: Final = Counter(
    "ragstone_answers", "Questions by how they ended: answered, abstained, degraded.", ["outcome"], registry=REGISTRY
)
FALLBACK: Final = Counter(
    "ragstone_fallback", "Answers given without the language model, by why.", ["reason"], registry=REGISTRY
)
LLM_TOKENS: Final = Counter(
    "ragstone_llm_tokens", "Tokens sent to and received from the model.", ["direction", "model"], registry=REGISTRY
)
# A gauge, for Info metrics do not work when several processes share their metrics.
INDEX_INFO: Final = Gauge(
    "ragstone_index_info", "1 for the index version that is served.", ["version"], registry=REGISTRY
)
INDEX_AGE_SECONDS: Final = Gauge(
    "ragstone_index_age_seconds", "Time since the served index was built.", registry=REGISTRY
)
# Two alarms: a refusal is counted once; a reader that must leave the published index aside says so while it does.
INDEX_REFUSED: Final = Counter(
    "ragstone_index_refused",
    "Indexes refused: by a gate before publishing, or by a reader for another encoder or broken files.",
    ["by"],
    registry=REGISTRY,
)
INDEX_LEFT_ASIDE: Final = Gauge(
    "ragstone_index_left_aside",
    "1 while the published index cannot be taken up and an earlier one is served.",
    registry=REGISTRY,
)


def exposition() -> bytes:
    """Return all metrics in Prometheus text form."""
    return generate_latest(REGISTRY)


def write_batch_metrics(path: Path) -> None:
    """Leave the metrics of a process that ends in a file, for a node exporter to collect; replaces it at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_to_textfile(os.fspath(path), REGISTRY)
