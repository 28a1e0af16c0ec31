"""What `ragstone quality suggest` drafts, in Deequ's hands."""

import pytest

from ragstone.contracts.tables import BRONZE_DOCUMENTS, SILVER_CHUNKS, embeddings
from ragstone.embedding.load import embedding_spec
from ragstone.lake.profiles import profile
from ragstone.lake.rule_drafts import draft
from spark_jobs.quality.deequ import judge_batch
from spark_jobs.quality.dqdl import rules_in
from spark_jobs.quality.measures import measurement
from tests.factories import make_bronze_row, make_chunk_row, make_envelope, write_rows
from tests.spark_jobs.quality.frames import embedding_row, frame_of

pytestmark = pytest.mark.spark


def test_drafted_rules_parse_and_pass_on_the_data_they_come_from(spark, settings):
    encoder = embedding_spec(settings)
    texts = [f"a text\tof {'words ' * at}in all" for at in range(25)]
    envelopes = [make_envelope(f"{at}.md", content=text.encode()) for at, text in enumerate(texts)]
    tables = (
        (BRONZE_DOCUMENTS, [make_bronze_row(envelope) for envelope in envelopes]),
        (SILVER_CHUNKS, [make_chunk_row(text, token_count=5 + at) for at, text in enumerate(texts)]),
        (embeddings(encoder.space, encoder.dim), [embedding_row(encoder, text, at) for at, text in enumerate(texts)]),
    )
    keys = [(row["chunk_id"], row["document_id"]) for row in tables[1][1]]
    parents = spark.createDataFrame(keys, "chunk_id string, document_id string")
    for spec, rows in tables:
        write_rows(settings.lake_root, spec, rows)
        way = measurement(spec)
        drafted = rules_in(draft(profile(settings.lake_root, way.dataset, spec)), "draft")
        measured = way.measure(frame_of(spark, spec, rows), parents, settings)
        judged, _ = judge_batch(measured.drop("sample"), drafted, ())
        assert len(judged) == len(drafted) > 8
        assert [(verdict.rule, verdict.reason) for verdict in judged if not verdict.passed] == []
