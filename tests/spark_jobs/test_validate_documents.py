import subprocess
import sys

import pytest

from ragstone.contracts.tables import BRONZE_DOCUMENTS
from ragstone.lake import quarantine
from ragstone.lake.ops import accepted_batch, last_run, recorded_run
from ragstone.runtime.errors import EXIT_GATE_BLOCKED, QualityGateError
from spark_jobs import validate_documents
from tests.factories import make_bronze_row, make_envelope, write_rows

pytestmark = pytest.mark.spark


def land(settings, batch, names, change="fetched", **changes):
    envelopes = [make_envelope(name, change, name.encode()) for name in names]
    rows = [make_bronze_row(envelope, landing_batch=batch, **changes) for envelope in envelopes]
    write_rows(settings.lake_root, BRONZE_DOCUMENTS, rows)


def validate(settings, run_id="run-1"):
    return recorded_run("validate", validate_documents.run, settings, run_id)


def test_accepts_up_to_the_last_batch_and_reads_no_further_back_again(spark, settings):
    land(settings, 1, ["good.md"])
    land(settings, 2, ["bad.md"], size_bytes=0)
    land(settings, 3, ["gone.md"], change="vanished")
    first = validate(settings)
    assert (first.rows_in, first.accepted, first.quarantined, first.watermark) == (3, 2, 1, 3)
    entry = quarantine.open_entries(settings.lake_root).to_pylist()[0]
    bad = make_envelope("bad.md", content=b"bad.md")
    assert (entry["document_id"], entry["content_hash"]) == (bad.document_id, bad.content_hash)
    assert entry["payload_pointer"] == bad.landing_uri

    assert_runs_without_a_jvm(settings, "unchanged", 3)
    land(settings, 4, ["good.md"], change="vanished")
    assert_runs_without_a_jvm(settings, "ok", 4)


def assert_runs_without_a_jvm(settings, status, watermark):
    code = (
        "import sys; from spark_jobs import validate_documents as job\n"
        f"code = job.main(['--home', {str(settings.home)!r}])\n"
        "assert 'pyspark' not in sys.modules\n"
        "sys.exit(code)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    run = last_run(settings.lake_root, "validate")
    assert (run["status"], run["watermark"]) == (status, watermark)


def test_a_failed_gate_leaves_its_batches_unread_until_they_pass(spark, settings):
    land(settings, 1, ["good.md"])
    validate(settings)
    land(settings, 2, [f"{place}.md" for place in range(20)], mime_type="?")
    assert validate_documents.main(["--home", str(settings.home)]) == EXIT_GATE_BLOCKED
    assert accepted_batch(settings.lake_root) == 1
    assert last_run(settings.lake_root, "validate", "blocked")["watermark"] is None
    with pytest.raises(QualityGateError):
        validate(settings, "run-2")
    assert quarantine.open_entries(settings.lake_root).num_rows == 20

    conf = settings.home.parent / "conf"
    mended = relaxed(settings, conf)
    assert validate(mended, "run-3").watermark == 2
    assert quarantine.open_entries(settings.lake_root).num_rows == 0


def relaxed(settings, conf):
    """Return settings under which any MIME type is fine."""
    (conf / "quality").mkdir(parents=True)
    for path in (settings.conf / "quality").glob("*.dqdl"):
        lines = path.read_text().splitlines()
        (conf / "quality" / path.name).write_text("\n".join(line for line in lines if "mime_type" not in line))
    return settings.model_copy(update={"conf": conf})


def test_a_retried_version_is_judged_again_and_taken_when_the_rules_allow_it(spark, settings):
    land(settings, 1, ["good.md"])
    land(settings, 2, ["odd.md"], mime_type="?")
    validate(settings)
    assert (validate(settings, "run-2").status, accepted_batch(settings.lake_root)) == ("unchanged", 2)
    entry = quarantine.open_entries(settings.lake_root).to_pylist()[0]["entry_id"]

    quarantine.retry(settings.lake_root, entry, "run-3", "ann")
    again = validate(settings, "run-3")
    assert (again.rows_in, again.quarantined, again.watermark) == (1, 1, 2)
    assert quarantine.retried_entries(settings.lake_root, "validate").num_rows == 0

    quarantine.retry(settings.lake_root, entry, "run-4", "ann")
    taken = validate(relaxed(settings, settings.home.parent / "conf"), "run-4")
    assert (taken.accepted, taken.quarantined) == (1, 0)
    assert quarantine.entries(settings.lake_root).to_pylist()[0]["resolution"] == "mended"
