from __future__ import annotations

import numpy as np
import pytest

from ragstone.contracts.tables import SILVER_CHUNKS, embeddings
from ragstone.lake import read
from ragstone.lake.delta import ABSENT, table_version
from ragstone.runtime.errors import ContractError
from ragstone.runtime.settings import load_settings
from spark_jobs import embed_chunks
from tests.factories import make_chunk_row, write_rows
from tests.fake_openai import fake_openai


@pytest.mark.spark
@pytest.mark.full
def test_a_space_behind_an_api_is_filled_by_workers_once_and_beside_the_others(spark, home):
    with fake_openai() as api:
        bought = {
            "encoder": "openai",
            "model": "small",
            "url": api.url,
            "passage_prefix": "passage: ",
            "price_per_million_tokens": 1.0,
        }
        settings = load_settings(
            home=home, embedding={"space": "bought", "spaces": {"bought": bought}, "max_cost": 1.0}
        )
        chunks = [make_chunk_row(f"text {number}", f"{number}.md") for number in range(5)]
        write_rows(settings.lake_root, SILVER_CHUNKS, [*chunks, make_chunk_row("text 0", "copy.md")])
        table = embeddings("bought", 8)

        api.spoil = lambda rows: rows[1:] if len(rows) > 1 else rows
        with pytest.raises(ContractError, match="the embedding API's answer cannot be used"):
            embed_chunks.run(settings, "run-1")
        assert table_version(settings.lake_root, table) == ABSENT

        api.spoil = lambda rows: rows
        before = len(api.texts)
        done = embed_chunks.run(settings, "run-2")

        assert (done.accepted, done.details["shape"]) == (6, [5, 8])
        assert done.details["expected"]["texts"] == 5
        assert sorted(api.texts[before:]) == [f"passage: text {number}" for number in range(5)]
        rows = read.state(settings.lake_root, table, columns=("chunk_id", "embedding", "model_id")).to_pylist()
        assert {row["model_id"] for row in rows} == {"small"}
        found = {row["chunk_id"]: row["embedding"] for row in rows}
        for chunk in chunks:
            vector = np.array(api.vector(f"passage: {chunk['text']}"))
            np.testing.assert_allclose(found[chunk["chunk_id"]], vector / np.linalg.norm(vector), rtol=1e-5)

        sent = len(api.requests)
        assert embed_chunks.run(settings, "run-3").status == "unchanged"
        assert len(api.requests) == sent
