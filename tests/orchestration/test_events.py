"""`ragstone events`, and the training sets made of them."""

import pyarrow.parquet as pq

from ragstone.contracts.names import RETRIEVAL_STREAM
from ragstone.contracts.stream_entries import to_entry
from ragstone.contracts.tables import FEEDBACK, RETRIEVALS, SILVER_CHUNKS
from ragstone.lake.ops import last_run
from ragstone.runtime.redis_server import online_client
from tests.factories import at, make_chunk_row, make_feedback_row, make_retrieval_row, write_rows


def test_drain_moves_events_once_and_is_recorded(command, settings):
    with online_client(settings) as client:
        client.xadd(RETRIEVAL_STREAM, to_entry(RETRIEVALS, make_retrieval_row()))
    first, second = command("--json", "events", "drain"), command("--json", "events", "drain")

    assert (first.code, second.code) == (0, 0)
    assert first.document["step"]["result"]["accepted"] == 1
    assert first.document["step"]["result"]["details"]["tables"]["events.retrievals"] == 1
    assert second.document["step"]["result"]["status"] == "unchanged"
    assert last_run(settings.lake_root, "drain")["run_id"] == second.document["run_id"]


def test_drain_shows_what_it_did(command):
    told = command("events", "drain")

    assert told.code == 0
    assert "unchanged" in told.out


def test_without_redis_drain_says_what_to_do(command, monkeypatch):
    monkeypatch.setenv("RAGSTONE_REDIS_URL", "redis://127.0.0.1:1")
    told = command("--json", "events", "drain")

    assert told.code == 4
    assert told.document["error"]["kind"] == "DependencyUnavailableError"
    assert "ragstone doctor" in told.document["error"]["next"]


def test_a_recipe_makes_a_training_set_of_judged_answers(command, settings, tmp_path):
    right, wrong = make_chunk_row("right", "a.md"), make_chunk_row("wrong", "b.md")
    shown = (wrong["chunk_id"], right["chunk_id"])
    write_rows(settings.lake_root, SILVER_CHUNKS, [right, wrong])
    write_rows(settings.lake_root, RETRIEVALS, [make_retrieval_row(shown=shown, event_timestamp=at(10))])
    write_rows(settings.lake_root, FEEDBACK, [make_feedback_row(chunk_id=right["chunk_id"], event_timestamp=at(20))])
    out = tmp_path / "set.parquet"
    told = command("--json", "training-set", "--recipe", "reranker", "--out", out)

    assert (told.code, told.document["rows"]) == (0, 1)
    [row] = pq.read_table(out).to_pylist()
    assert (row["question"], row["positive_text"], row["negative_texts"]) == ("What is it?", "right", ["wrong"])
    early = command("--json", "training-set", "--recipe", "reranker", "--out", out, "--as-of", at(15).isoformat())
    assert early.document["rows"] == 0
    assert "0 rows" in command("training-set", "--recipe", "reranker", "--out", out, "--as-of", at(15).isoformat()).out


def test_a_recipe_takes_no_labels_and_needs_a_place(command, tmp_path):
    for more in (["--out", "x", "--labels", "labels.parquet"], []):
        told = command("training-set", "--recipe", "reranker", *more)
        assert (told.code, "a recipe makes its own labels" in told.err) == (2, True)
