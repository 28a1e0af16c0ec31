import pytest

from tests.serving.world import BEES, KILN, PAYROLL, READER_KEY, STAFF_KEY, as_

QUESTION = "How many degrees did the kiln at Aldermoor reach?"
NO_SUCH_ID = "0" * 32


def test_search_returns_passages_best_first(service):
    found = service.post("/v1/search", json={"query": QUESTION, "k": 2}).json()

    assert [hit["rank"] for hit in found["hits"]] == [1, 2]
    assert found["hits"][0]["passage"]["chunk_id"] == KILN.chunk_id()
    assert found["hits"][0]["passage"]["text"] == KILN.paragraphs[0]
    assert found["hits"][0]["score"] > found["hits"][1]["score"]
    assert found["answerable"]


def test_search_returns_what_the_caller_may_read_alone(service):
    query = {"query": "the director's parrot", "k": 5}
    seen = {key: service.post("/v1/search", json=query, headers=as_(key)).json() for key in (READER_KEY, STAFF_KEY)}

    documents = {key: {hit["passage"]["document_id"] for hit in result["hits"]} for key, result in seen.items()}
    assert PAYROLL.document_id not in documents[READER_KEY]
    assert PAYROLL.document_id in documents[STAFF_KEY]
    assert seen[READER_KEY]["dropped"] == 1


def test_a_chunk_is_shown_with_its_place_in_the_document(service):
    shown = service.get(f"/v1/chunks/{KILN.chunk_id(1)}").json()

    assert KILN.text[shown["char_start"] : shown["char_end"]] == shown["text"] == KILN.paragraphs[1]
    assert (shown["document_id"], shown["source_uri"]) == (KILN.document_id, "kiln.md")


def test_a_forbidden_chunk_looks_like_one_that_is_not_there(service):
    forbidden, absent = (service.get(f"/v1/chunks/{name}") for name in (PAYROLL.chunk_id(), NO_SUCH_ID))

    assert (forbidden.status_code, absent.status_code) == (404, 404)
    told = [
        {name: value for name, value in response.json().items() if name not in ("got", "request_id")}
        for response in (forbidden, absent)
    ]
    assert told[0] == told[1]
    assert service.get(f"/v1/chunks/{PAYROLL.chunk_id()}", headers=as_(STAFF_KEY)).status_code == 200


def test_lineage_leads_from_the_quote_to_the_landed_bytes_and_the_rules(service, world):
    answer = service.post("/chat", json={"user": QUESTION}).json()

    lineage = service.get(f"/v1/answers/{answer['answer_id']}/lineage").json()

    [evidence, *_] = lineage["evidence"]
    assert evidence["citation"] == answer["citations"][0]
    assert evidence["quote_matches"]
    assert (evidence["chunk"]["chunk_id"], evidence["chunk"]["ordinal"]) == (KILN.chunk_id(), 0)
    assert evidence["document"]["content_hash"] == evidence["bronze"]["content_hash"]
    assert (world.landing_root / evidence["bronze"]["landing_uri"]).read_text() == KILN.text
    assert {rule["rule"] for rule in lineage["quality"]} == {"RowCount > 0"}
    assert [run["step"] for run in lineage["runs"]] == ["validate"]
    assert lineage["index_manifest"]["version"] == lineage["index_version"] == answer["index_version"]
    assert lineage["online_watermark"]["silver.chunks"] >= 0


def test_lineage_belongs_to_whom_the_answer_was_given(service):
    answer = service.post("/chat", json={"user": QUESTION}, headers=as_(READER_KEY)).json()
    path = f"/v1/answers/{answer['answer_id']}/lineage"

    assert service.get(path, headers=as_(READER_KEY)).status_code == 200
    assert service.get(path, headers=as_(STAFF_KEY)).status_code == 404
    assert service.get(path).status_code == 404
    assert service.get(f"/v1/answers/{NO_SUCH_ID}/lineage").status_code == 404


@pytest.mark.parametrize("key", [None, READER_KEY, STAFF_KEY])
def test_only_the_group_admin_deletes(service, key):
    headers = as_(key) if key else {}

    refused = service.delete(f"/v1/documents/{BEES.document_id}", headers=headers)

    assert refused.status_code == 403
    assert refused.json()["wanted"] == "the group admin"
    assert service.get(f"/v1/chunks/{BEES.chunk_id()}").status_code == 200


def test_health_says_which_index_and_which_encoder(service, world):
    assert service.get("/health/live").json() == {"status": "live"}
    ready = service.get("/health/ready")
    current = (world.index_root / "CURRENT").read_text()
    assert ready.status_code == 200
    assert ready.json()["index_version"] in current
    assert (ready.json()["chunks"], ready.json()["generation"]) == (5, "extractive")
    assert len(ready.json()["encoder_hash"]) == 32


def test_metrics_count_requests_by_route_and_never_by_id(service):
    service.get(f"/v1/chunks/{KILN.chunk_id()}")

    text = service.get("/metrics").text

    assert 'api_response_time_seconds_count{method="GET",route="/v1/chunks/{chunk_id}",status="200"}' in text
    assert KILN.chunk_id() not in text
    assert 'ragstone_stage_duration_seconds_count{stage="retrieve"}' in text
    assert "retriever_topk_hits" in text
