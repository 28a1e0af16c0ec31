import pytest

from ragstone.contracts.tables import SILVER_CHUNKS, embeddings
from ragstone.embedding.load import embedding_spec
from ragstone.lake import read
from ragstone.lake.ops import last_run
from tests.submit import PROJECT, submit

JOBS = {
    "ingest": "ingest_documents",
    "validate": "validate_documents",
    "preprocess": "preprocess_documents",
    "embed": "embed_chunks",
}


@pytest.mark.spark
@pytest.mark.full
def test_every_spark_step_runs_under_plain_spark_submit(settings, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/a.md").write_text(
        "# A guide\n\nThe lamp of the north tower is red, and it is lit every evening."
    )
    (settings.home / "conf.yaml").write_text(f"sources: {{notes: {{root: '{tmp_path / 'notes'}'}}}}\n")

    for step, job in JOBS.items():
        done = submit(settings, PROJECT / f"spark_jobs/{job}.py", "--run-id", f"submitted-{step}")
        assert done.returncode == 0, done.stdout
        run = last_run(settings.lake_root, step)
        assert (run["run_id"], run["status"], run["accepted"]) == (f"submitted-{step}", "ok", 1)

    spec = embedding_spec(settings)
    (chunk,) = read.state(settings.lake_root, SILVER_CHUNKS).to_pylist()
    (vector,) = read.state(settings.lake_root, embeddings(spec.space, spec.dim)).to_pylist()
    assert "red" in chunk["text"]
    assert (vector["chunk_id"], vector["model_id"]) == (chunk["chunk_id"], spec.model_id)
