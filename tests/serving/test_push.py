import threading

import pytest

from ragstone.contracts.identity import document_id
from ragstone.contracts.records import Rejection
from ragstone.contracts.tables import RUNS
from ragstone.features.access import delete_document, restore_document
from ragstone.lake import quarantine
from ragstone.lake.delta import append_rows
from ragstone.lake.documents import bronze_state
from ragstone.lake.landing import LandingZone
from ragstone.runtime.redis_server import stop_redis
from tests.factories import DAY_ZERO
from tests.serving.world import ADMIN_KEY, KILN, READER_KEY, STAFF_KEY, as_, copied, served, world_settings

SOURCES = {"wiki": {"kind": "push", "writers": ["staff"], "acl": ["readers"], "metadata": {"team": "docs"}}}
PAGE = {"id": "page-1", "text": "# Otters\n\nThey swim.", "title": "Otters", "text_type": "text/markdown"}
PAGE_ID = document_id("wiki", "page-1")


@pytest.fixture(scope="module")
def pushable(world, tmp_path_factory):
    """A copy of the world, served, with a source to push to."""
    home = copied(world.home, tmp_path_factory.mktemp("pushable"))
    settings = world_settings(home, sources=SOURCES, serving={"max_push_bytes": 200_000})
    with served(settings) as client:
        client.headers.update(as_(STAFF_KEY))
        yield settings, client
    stop_redis(settings)


def push(client, *documents, source="wiki", **options):
    return client.post("/v1/documents", json={"source": source, "documents": list(documents)}, **options)


def status(client, name, key=STAFF_KEY):
    return client.get(f"/v1/documents/{name}", headers=as_(key)).json().get("status")


def last_batch(settings):
    *_, batch = LandingZone(settings.landing_root).read_batches()
    return batch


def test_a_pushed_document_is_on_disk_before_it_is_acknowledged(pushable):
    settings, client = pushable

    told = push(client, {**PAGE, "metadata": {"lang": "en"}}, {"id": "page-2", "text": "Bees."})

    assert told.status_code == 202
    batch = last_batch(settings)
    receipt = told.json()
    assert receipt == {
        "source": "wiki",
        "landing_batch": batch.number,
        "answerable": "after the next run of the pipeline (ragstone run)",
        "documents": [
            {"id": name, "document_id": identity, "change": "new", "status_url": f"/v1/documents/{identity}"}
            for name, identity in (("page-1", PAGE_ID), ("page-2", document_id("wiki", "page-2")))
        ],
    }
    envelope = batch.envelopes[0]
    landed = LandingZone(settings.landing_root).read_object(envelope.landing_uri)
    assert (envelope.acl, envelope.source_metadata) == (("readers",), {"team": "docs", "lang": "en"})
    assert (envelope.source_uri, envelope.size_bytes) == ("page-1", len(landed))
    assert b"They swim." in landed
    assert client.get(receipt["documents"][0]["status_url"]).json()["status"] == "landed"


def test_the_same_again_lands_nothing_and_what_differs_is_a_new_version(pushable):
    settings, client = pushable
    page = {**PAGE, "id": "page-3"}
    push(client, page)
    before = last_batch(settings).number

    again = push(client, page).json()
    assert (again["landing_batch"], again["documents"][0]["change"]) == (None, "unchanged")
    assert last_batch(settings).number == before

    described = push(client, {**page, "metadata": {"lang": "de"}}).json()
    edited = push(client, {**page, "text": "They dive."}, {**PAGE, "id": "page-4"}).json()
    assert described["documents"][0]["change"] == "changed"
    assert [document["change"] for document in edited["documents"]] == ["changed", "new"]
    batches = list(LandingZone(settings.landing_root).read_batches(after=before))
    assert [[envelope.change for envelope in batch.envelopes] for batch in batches] == [
        ["metadata"],
        ["fetched", "fetched"],
    ]


def test_a_deleted_document_is_refused_until_it_is_restored_and_so_is_its_whole_push(pushable):
    settings, client = pushable
    gone = {**PAGE, "id": "gone"}
    push(client, gone)
    delete_document(settings, document_id("wiki", "gone"), "a test")
    before = last_batch(settings).number

    refused = push(client, {**gone, "text": "Back again."}, {**PAGE, "id": "bystander"})

    assert (refused.status_code, refused.json()["got"]) == (409, "gone")
    assert last_batch(settings).number == before
    assert status(client, document_id("wiki", "gone")) == "deleted"
    restore_document(settings, document_id("wiki", "gone"), "a test")
    assert push(client, {**gone, "text": "Back again."}).status_code == 202


def test_a_delete_that_comes_between_comparison_and_landing_is_not_undone(pushable, monkeypatch):
    settings, client = pushable
    raced = {**PAGE, "id": "raced"}
    push(client, raced)
    append = LandingZone.try_append

    def delete_first(landing, envelopes, run_id, number):
        monkeypatch.setattr(LandingZone, "try_append", append)
        delete_document(settings, document_id("wiki", "raced"), "a test")
        return append(landing, envelopes, run_id, number)

    monkeypatch.setattr(LandingZone, "try_append", delete_first)

    assert push(client, {**raced, "text": "Newer."}).status_code == 409
    assert bronze_state(settings)[document_id("wiki", "raced")].change == "deleted"


def test_pushes_at_once_are_all_landed(pushable):
    settings, client = pushable
    before = last_batch(settings).number
    names = [f"crowd-{number}" for number in range(8)]
    threads = [threading.Thread(target=push, args=(client, {**PAGE, "id": name})) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    batches = LandingZone(settings.landing_root).read_batches(after=before)
    assert sorted(envelope.source_uri for batch in batches for envelope in batch.envelopes) == names


def test_only_writers_of_the_source_may_push_and_see(pushable):
    _, client = pushable
    push(client, PAGE)
    reader = as_(READER_KEY)

    refused = push(client, PAGE, headers=reader)

    assert (refused.status_code, refused.json()["wanted"]) == (403, "a group among the source's writers")
    told = [client.get(f"/v1/documents/{name}", headers=reader) for name in (PAGE_ID, "0" * 32)]
    assert [answer.status_code for answer in told] == [404, 404]
    assert {answer.json()["what"] for answer in told} == {"there is no such document"}


def test_an_unknown_source_is_refused_like_a_forbidden_one_but_told_to_admins(pushable):
    _, client = pushable

    assert push(client, PAGE, source="nowhere").status_code == 403
    assert push(client, PAGE, source="nowhere", headers=as_(ADMIN_KEY)).status_code == 404


@pytest.mark.parametrize(
    ("documents", "code", "what"),
    [
        ([], 422, "body.documents is not usable"),
        ([{**PAGE, "text": ""}], 422, "body.documents.0.text is not usable"),
        ([{**PAGE, "acl": ["admin"]}], 422, "there is no field 'acl'"),
        ([{**PAGE, "text_type": "image/png"}], 422, "body.documents.0.text_type is not usable"),
        ([PAGE, PAGE], 422, "a document is sent twice in one push"),
        ([{**PAGE, "text": "x" * 200_000}], 413, "the request is too large"),
    ],
)
def test_what_cannot_be_taken_in_is_refused_whole(pushable, documents, code, what):
    settings, client = pushable
    before = LandingZone(settings.landing_root).last_batch()

    refused = push(client, *documents)

    assert (refused.status_code, refused.json()["what"]) == (code, what)
    assert LandingZone(settings.landing_root).last_batch() == before


def test_half_a_surrogate_pair_is_refused(pushable):
    _, client = pushable
    body = b'{"source": "wiki", "documents": [{"id": "bad", "text": "\\ud800"}]}'

    refused = client.post("/v1/documents", content=body, headers={"Content-Type": "application/json"})

    assert refused.status_code == 422


def test_a_document_larger_than_a_question_may_be_passes_only_where_it_can_be_pushed(pushable, service):
    _, client = pushable
    large = {**PAGE, "id": "large", "text": "word " * 20_000}

    assert push(client, large).status_code == 202
    assert push(service, large, headers=as_(ADMIN_KEY)).status_code == 413


def test_the_status_follows_a_document_to_the_index(pushable):
    settings, client = pushable
    name = document_id("wiki", "followed")
    push(client, {**PAGE, "id": "followed"})
    assert status(client, name) == "landed"

    run = dict.fromkeys(RUNS.column_names) | {
        **{"run_id": "run-2", "step": "validate", "status": "ok", "unit": "documents", "seconds": 1.0},
        **dict.fromkeys(("rows_in", "accepted", "unchanged", "quarantined", "written"), 0),
        **{"started_at": DAY_ZERO, "finished_at": DAY_ZERO, "tables_read": {}, "tables_written": {}, "details": "{}"},
        "watermark": last_batch(settings).number,
    }
    append_rows(settings.lake_root, RUNS, [run])
    assert status(client, name) == "validated"

    content_hash = bronze_state(settings, name)[name].content_hash
    rejection = Rejection("validate", "bronze.documents", name, "too short", (), name, content_hash)
    quarantine.set_aside(settings.lake_root, [rejection], "run-2")
    told = client.get(f"/v1/documents/{name}").json()
    assert (told["status"], told["reasons"]) == ("quarantined", ["too short"])

    assert status(client, KILN.document_id, key=ADMIN_KEY) == "served"
