import pytest

from ragstone.contracts.records import StepResult
from ragstone.contracts.tables import BRONZE_DOCUMENTS
from ragstone.lake import read
from ragstone.lake.ops import last_run
from ragstone.runtime.errors import DependencyUnavailableError
from spark_jobs.entrypoint import job_main
from tests.submit import PROJECT, submit

# Says where its packages came from, then runs the job as its script would.
WITNESS = """
import runpy, sys
import ragstone, spark_jobs
print("packages from", ragstone.__file__, spark_jobs.__file__)
sys.argv[0] = {job!r}
runpy.run_path({job!r}, run_name="__main__")
"""


@pytest.mark.spark
def test_ingest_runs_under_plain_spark_submit(settings, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/a.md").write_text("# A")
    (settings.home / "conf.yaml").write_text(f"sources: {{notes: {{root: '{tmp_path / 'notes'}'}}}}\n")
    witness = tmp_path / "witness.py"
    witness.write_text(WITNESS.format(job=str(PROJECT / "spark_jobs/ingest_documents.py")))
    done = submit(settings, witness, "--run-id", "submitted")
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[0].count("ragstone.zip/") == 2
    rows = read.query(settings.lake_root, "SELECT source_uri, run_id FROM bronze", bronze=BRONZE_DOCUMENTS)
    assert rows.to_pylist() == [{"source_uri": "a.md", "run_id": "submitted"}]
    assert last_run(settings.lake_root, "ingest")["run_id"] == "submitted"


def test_a_step_that_succeeds_is_recorded_and_ends_with_0(settings):
    def step(settings, run_id):
        return StepResult("ingest", "ok", "items", accepted=1)

    assert job_main("ingest", step, ["--home", str(settings.home), "--run-id", "r"]) == 0
    assert last_run(settings.lake_root, "ingest")["accepted"] == 1


def test_an_error_is_told_without_a_traceback_and_gives_its_exit_code(settings, capsys):
    def step(settings, run_id):
        raise DependencyUnavailableError("Redis does not answer", next_step="ragstone doctor")

    assert job_main("materialize", step, ["--home", str(settings.home)]) == 4
    told = capsys.readouterr().err
    assert "Redis does not answer\n  next: ragstone doctor" in told
    assert "Traceback" not in told


def test_a_misspelt_setting_ends_with_2(settings, capsys):
    (settings.home / "conf.yaml").write_text("sorces: {}\n")
    assert job_main("ingest", lambda *_: None, ["--home", str(settings.home)]) == 2
    assert "sources" in capsys.readouterr().err
