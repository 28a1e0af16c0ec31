"""Promises 7 and 10: no training row sees its future, and nothing leaves the machine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa

from ragstone.contracts.tables import DOCUMENT_STATS, SILVER_CHUNKS
from ragstone.features.training import training_set
from ragstone.lake import read
from tests.network_guard.plugin import network_guard
from tests.promises.company import Company
from tests.promises.keeping import promised
from tests.serving.world import served

_JUST = timedelta(microseconds=1)


def check_training_set(company: Company) -> None:
    """Promise 7: no training row holds a feature with a later event time than its own."""
    company.write("bees.md", "# Bees\n\nA hive of the upland bee winters on twenty kilograms of honey, and some wax.\n")
    company.run(last="preprocess")
    rows = read.query(
        company.settings.lake_root, "SELECT chunk_id, event_timestamp, document_id FROM t", t=SILVER_CHUNKS
    ).to_pylist()
    moments = sorted({row["event_timestamp"] for row in rows})
    labels = [
        {"chunk_id": row["chunk_id"], "document_id": row["document_id"], "event_timestamp": at}
        for row in rows
        if row["document_id"] is not None
        for moment in (*moments, datetime.now(UTC))
        for at in (moment - _JUST, moment)
    ]
    found = training_set(company.settings, pa.Table.from_pylist(labels)).table.to_pylist()
    promised(len(found) == len(labels), f"{len(labels)} labels gave {len(found)} rows")
    stats = read.query(
        company.settings.lake_root, "SELECT document_id, event_timestamp, char_count FROM t", t=DOCUMENT_STATS
    ).to_pylist()
    for row in found:
        times = {name: at for name, at in row.items() if name.endswith("__event_timestamp") and at is not None}
        late = {name: at for name, at in times.items() if at > row["event_timestamp"]}
        promised(not late, f"a row labelled {row['event_timestamp']} sees features of {late}")
        known = [
            s
            for s in stats
            if s["document_id"] == row["document_id"] and s["event_timestamp"] <= row["event_timestamp"]
        ]
        expected = max(known, key=lambda s: s["event_timestamp"])["char_count"] if known else None
        promised(row["char_count"] == expected, f"char_count was {row['char_count']}, known was {expected}")


def check_nothing_leaves(company: Company) -> None:
    """Promise 10: ingesting, indexing and answering try no connection beyond loopback."""
    company.write("lamp.md", "# The lamp\n\nThe harbour lamp burns rapeseed oil.\n")
    with network_guard().expecting() as attempts:
        company.run()
        with served(company.settings) as client:
            client.post("/chat", json={"user": "What does the harbour lamp burn?"}).raise_for_status()
    promised(not attempts, f"something tried to leave: {attempts}")
