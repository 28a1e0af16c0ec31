import pytest

from ragstone.contracts.identity import document_id
from ragstone.contracts.tables import BRONZE_DOCUMENTS, DOCUMENT_ACCESS, SILVER_CHUNKS
from ragstone.lake import read
from ragstone.lake.ops import recorded_run
from ragstone.lake.push import PushedDocument, push_documents
from ragstone.runtime.redis_server import stop_redis
from ragstone.runtime.settings import load_settings
from spark_jobs import ingest_documents, preprocess_documents, validate_documents

pytestmark = pytest.mark.spark
LEAVE = PushedDocument("leave", "# Leave\n\nAsk by Friday.\n\n# Pay\n\nIt comes monthly.", "Handbook", "text/markdown")
LEAVE_ID = document_id("wiki", "leave")


def settings_for(home, acl):
    return load_settings(home=home, sources={"wiki": {"kind": "push", "acl": acl}})


@pytest.fixture
def settings(home):
    yield settings_for(home, ["staff"])
    stop_redis(settings_for(home, ["staff"]))


def ingest(settings, run_id):
    result = ingest_documents.run(settings, run_id)
    return result.status, result.accepted, result.unchanged, result.written


def test_pushed_documents_become_chunks_and_stay_until_they_are_deleted(spark, settings, home, caplog):
    push_documents(settings, "wiki", [LEAVE])

    assert ingest(settings, "run-1") == ("ok", 0, 0, 1)
    recorded_run("validate", validate_documents.run, settings, "run-1")
    recorded_run("preprocess", preprocess_documents.run, settings, "run-1")
    chunks = read.state(settings.lake_root, SILVER_CHUNKS, columns=("heading_path", "text")).to_pylist()
    assert {chunk["heading_path"] for chunk in chunks} == {"Leave", "Pay"}
    assert "Ask by Friday." in " ".join(chunk["text"] for chunk in chunks)

    assert ingest(settings, "run-2") == ("unchanged", 0, 0, 0)
    assert ingest(settings_for(home, ["admin"]), "run-3") == ("ok", 1, 0, 1)
    [access] = read.newest_rows(settings.lake_root, DOCUMENT_ACCESS).to_pylist()
    assert (access["document_id"], access["active"], access["acl"]) == (LEAVE_ID, True, ["admin"])
    rows = read.query(settings.lake_root, "SELECT change FROM b ORDER BY landing_batch", b=BRONZE_DOCUMENTS)
    assert rows["change"].to_pylist() == ["fetched", "access"]
    assert "no longer configured" not in caplog.text
