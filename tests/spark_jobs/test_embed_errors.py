"""What the encoder raises ends embed as it was raised, in a worker or in the driver; nothing is written."""

from __future__ import annotations

import shutil

import pytest

from ragstone.contracts.tables import SILVER_CHUNKS, embeddings
from ragstone.embedding import model_files
from ragstone.lake.delta import ABSENT, table_version
from ragstone.runtime.errors import ContractError, DependencyUnavailableError, RagstoneError, exit_code
from ragstone.runtime.settings import Settings, load_settings
from spark_jobs import embed_chunks, embeddings_here
from tests.factories import make_chunk_row, write_rows
from tests.fake_openai import FakeOpenAI, fake_openai

DIM = 8


@pytest.fixture
def api():
    with fake_openai() as server:
        yield server


def told_by_both(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> RagstoneError:
    """Run embed with workers and in the driver; return the error, which has to be the same."""
    dim = settings.embedding.served.dim or 384
    write_rows(settings.lake_root, SILVER_CHUNKS, [make_chunk_row("a text", "a.md"), make_chunk_row("other", "b.md")])
    found = []
    for here in (False, True):
        monkeypatch.setattr(embeddings_here.small_batches, "exist", lambda *_tables, here=here: here)
        with pytest.raises(RagstoneError) as raised:
            embed_chunks.run(settings, "run-1")
        found.append(raised.value)
        assert table_version(settings.lake_root, embeddings(settings.embedding.space, dim)) == ABSENT
    by_workers, here = found
    assert (type(by_workers), by_workers.facts(), str(by_workers)) == (type(here), here.facts(), str(here))
    return by_workers


def bought(home, api: FakeOpenAI) -> Settings:
    embedding = {"space": "bought", "encoder": "openai", "model": "small", "url": api.url, "dim": DIM, "retries": 1}
    return load_settings(home=home, embedding=embedding)


@pytest.mark.spark
@pytest.mark.parametrize("status", [401, *(pytest.param(status, marks=pytest.mark.full) for status in (429, 500))])
def test_an_api_that_refuses_ends_embed_with_its_address_and_status(spark, home, api, monkeypatch, status):
    api.failures.extend([(status, {"retry-after-ms": "1"})] * 50)

    error = told_by_both(bought(home, api), monkeypatch)

    assert (type(error), error.what) == (DependencyUnavailableError, "the embedding API gave no vectors")
    assert (error.where, error.got, error.wanted) == (api.url, f"HTTP {status}", "vectors of small")
    assert "embedding.api_key" in (error.next_step or "")
    assert exit_code(error) == 4


@pytest.mark.spark
def test_an_answer_that_cannot_be_used_ends_embed_as_a_broken_contract(spark, home, api, monkeypatch):
    api.spoil = lambda rows: [{**row, "embedding": [0.0] * DIM} for row in rows]

    error = told_by_both(bought(home, api), monkeypatch)

    assert (type(error), error.got, exit_code(error)) == (ContractError, "a vector of zeros, NaN or infinity", 1)


@pytest.mark.spark
def test_a_model_file_that_is_gone_ends_embed_naming_the_file(spark, settings, tmp_path, monkeypatch):
    assets = tmp_path / "assets"
    shutil.copytree(settings.assets / "models", assets / "models")
    graph = model_files.folder_of(assets, settings.embedding.served.model) / model_files.ONNX_NAME
    graph.unlink()

    error = told_by_both(settings.model_copy(update={"assets": assets}), monkeypatch)

    assert (type(error), error.where, error.got) == (DependencyUnavailableError, str(graph), "no file")
    assert exit_code(error) == 4
