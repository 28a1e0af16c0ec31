import gzip
import itertools
import json
from datetime import UTC, datetime

import pytest
import stamina
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from ragstone.runtime.errors import ConfigError, DependencyUnavailableError
from ragstone.runtime.source_settings import HttpSource, RecordColumns
from tests.spark_jobs.sources.faulty_proxy import Fault, faulty_proxy
from tests.spark_jobs.sources.looks import Looks

COLUMNS = {"id": "id", "text": ["body"], "title": "title", "metadata": ["team"]}


@pytest.fixture(autouse=True)
def without_waiting():
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


def note(number, **changes):
    return {"id": number, "title": f"Note {number}", "body": f"Lamp {number} is red.", "team": "ops", **changes}


def looks(httpserver, tmp_path, **changes):
    facts = {"records": COLUMNS, "requests_per_second": 10_000, "attempts": 3, **changes}
    return Looks(HttpSource(kind="http", url=httpserver.url_for("/notes"), **facts), tmp_path)


class Api:
    """An API over a list of records, whose pages hold two each; `answers` are given before, in turn."""

    def __init__(self, httpserver, style="page"):
        self.records, self.answers, self.requests, self.style = [], [], [], style
        self.base = httpserver.url_for("/notes")
        httpserver.expect_request("/notes").respond_with_handler(self.answer)

    def answer(self, request: Request) -> Response:
        self.requests.append(request)
        if self.answers and (spoilt := self.answers.pop(0)) is not None:
            return spoilt
        if self.style == "none":
            return Response(json.dumps(self.records))
        start = int(request.args.get("cursor") or 0) if self.style != "page" else 2 * (int(request.args["page"]) - 1)
        found = {"data": {"notes": self.records[start : start + 2]}}
        more = start + 2 < len(self.records)
        answer = Response(json.dumps({**found, "next": str(start + 2) if more else None}))
        if self.style == "link" and more:
            answer.headers["Link"] = f'<{self.base}?cursor={start + 2}>; rel="next", </notes>; rel="first"'
        return answer


@pytest.mark.parametrize("style", ["page", "cursor", "link"])
def test_every_page_is_read_and_only_what_differs_changes(httpserver, tmp_path, style):
    api = Api(httpserver, style)
    api.records = [note(number) for number in range(1, 6)]
    source = looks(httpserver, tmp_path, paging=style, items="data.notes")
    assert source.changes() == {str(number): "fetched" for number in range(1, 6)}
    assert source.content("5") == b'{"text":"Lamp 5 is red.","title":"Note 5"}'
    api.records = [note(1), note(2, body="Edited."), note(3, team="sales"), note(5)]
    assert source.changes() == {"2": "fetched", "3": "metadata", "4": "vanished"}


def test_a_record_that_moves_on_while_pages_are_read_is_taken_once(httpserver, tmp_path):
    api = Api(httpserver)
    api.records = [note(1), note(2), note(2), note(3)]
    found = looks(httpserver, tmp_path, paging="page", items="data.notes").look()
    assert [envelope.source_uri for envelope in found.envelopes] == ["1", "2", "3"]


def test_a_plain_list_is_one_page(httpserver, tmp_path):
    api = Api(httpserver, "none")
    api.records = [note(1), note(2)]
    source = looks(httpserver, tmp_path)
    assert (source.look().new, len(api.requests)) == (2, 1)
    assert source.look().unchanged == 2


def test_token_headers_and_parameters_are_sent(httpserver, tmp_path, monkeypatch):
    monkeypatch.setenv("NOTES_TOKEN", "s3cret")
    api = Api(httpserver, "none")
    looks(httpserver, tmp_path, token="env:NOTES_TOKEN", headers={"X-Team": "ops"}, params={"state": "open"}).look()
    (request,) = api.requests
    assert (request.headers["Authorization"], request.headers["X-Team"]) == ("Bearer s3cret", "ops")
    assert request.args["state"] == "open"


def test_a_missing_token_names_its_variable(httpserver, tmp_path):
    with pytest.raises(ConfigError, match="NO_SUCH_TOKEN"):
        looks(httpserver, tmp_path, token="env:NO_SUCH_TOKEN").look()


@pytest.mark.parametrize("spoilt", [Response(status=429), Response(status=503), Response(status=502)])
def test_an_answer_that_may_be_another_later_is_asked_for_again(httpserver, tmp_path, spoilt):
    api = Api(httpserver)
    api.records, api.answers = [note(1), note(2), note(3)], [None, spoilt, spoilt]
    assert looks(httpserver, tmp_path, paging="page", items="data.notes").look().new == 3


def test_retry_after_is_kept(httpserver, tmp_path):
    waits = []
    api = Api(httpserver, "none")
    api.answers = [Response(status=429, headers={"Retry-After": "7"})]
    with stamina.set_testing(False):
        stamina.instrumentation.set_on_retry_hooks([lambda details: waits.append(details.wait_for)])
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("stamina._core._smart_sleep", lambda _seconds: None)
                patch.setattr("time.sleep", lambda _seconds: None)
                looks(httpserver, tmp_path).look()
        finally:
            stamina.instrumentation.set_on_retry_hooks(None)
    assert waits == [7.0]


def test_an_api_that_breaks_off_changes_nothing(httpserver, tmp_path):
    api = Api(httpserver)
    api.records = [note(number) for number in range(1, 6)]
    source = looks(httpserver, tmp_path, paging="page", items="data.notes")
    source.look()
    api.requests.clear()
    api.answers = [None, *[Response(status=500)] * 3]
    with pytest.raises(DependencyUnavailableError, match="does not answer"):
        source.look()
    assert len(api.requests) == 4
    assert source.changes() == {}


@pytest.mark.parametrize("status", [401, 403, 404, 400])
def test_a_refusal_is_final(httpserver, tmp_path, status):
    api = Api(httpserver, "none")
    api.answers = [Response(status=status)]
    with pytest.raises(ConfigError, match=str(status)):
        looks(httpserver, tmp_path).look()
    assert len(api.requests) == 1


@pytest.mark.parametrize(
    ("body", "told"), [("<html>", "JSON"), ('{"data": 1}', "a list of records"), ("{}", "a list of records")]
)
def test_another_form_than_configured_is_told_of(httpserver, tmp_path, body, told):
    httpserver.expect_request("/notes").respond_with_data(body)
    with pytest.raises(ConfigError, match=told):
        looks(httpserver, tmp_path, items="data").look()


def test_json_that_is_nested_too_deeply_is_told_of(httpserver, tmp_path):
    httpserver.expect_request("/notes").respond_with_data("[" * 200_000)
    with pytest.raises(ConfigError, match="JSON"):
        looks(httpserver, tmp_path).look()


@pytest.mark.parametrize("fault", [Fault(cut=True), Fault(reset=True)])
def test_broken_connections_are_tried_again(httpserver, tmp_path, fault):
    api = Api(httpserver, "none")
    api.records = [note(1), note(2)]
    with faulty_proxy(httpserver.host, httpserver.port) as proxy:
        proxy.spoil = lambda _method, _path: fault if len(proxy.requests) < 3 else None
        source = looks(httpserver, tmp_path)
        source.source = source.source.model_copy(update={"url": f"{proxy.url}/notes"})
        assert source.look().new == 2
        assert proxy.got("GET", "/notes") == 3
        proxy.spoil = lambda _method, _path: fault
        with pytest.raises(DependencyUnavailableError, match="does not answer"):
            source.look()


def test_half_of_a_packed_answer_is_asked_for_again(httpserver, tmp_path):
    api = Api(httpserver, "none")
    api.records = [note(1)]
    api.answers = [Response(b"\x1f\x8bjunk", headers={"Content-Encoding": "gzip"})]
    assert looks(httpserver, tmp_path).look().new == 1


@pytest.mark.parametrize("told", ["Wed, 21 Oct 2015 07:28:00 -0000", "soon", "0", "nan"])
def test_any_retry_after_is_understood(httpserver, tmp_path, told):
    api = Api(httpserver, "none")
    api.records, api.answers = [note(1)], [Response(status=429, headers={"Retry-After": told})]
    assert looks(httpserver, tmp_path).look().new == 1


def test_requests_are_apart_as_the_rate_allows(httpserver, tmp_path, monkeypatch):
    clock, asked_at = [100.0], []
    monkeypatch.setattr("spark_jobs.sources.http_client.time.monotonic", lambda: clock[0])
    monkeypatch.setattr(
        "spark_jobs.sources.http_client.time.sleep", lambda seconds: clock.append(clock.pop() + seconds)
    )

    def answer(request: Request) -> Response:
        asked_at.append(clock[0])
        page = int(request.args["page"])
        return Response(json.dumps([note(page)] if page < 4 else []))

    httpserver.expect_request("/notes").respond_with_handler(answer)
    looks(httpserver, tmp_path, paging="page", requests_per_second=4).look()
    assert asked_at == [100.0, 100.25, 100.5, 100.75]


def test_redirects_on_the_same_host_are_followed(httpserver, tmp_path):
    api = Api(httpserver, "none")
    api.records = [note(1)]
    api.answers = [Response(status=307, headers={"Location": "/notes?moved=1"})]
    assert looks(httpserver, tmp_path).look().new == 1
    assert [request.args.get("moved") for request in api.requests] == [None, "1"]


def test_redirects_without_an_end_are_refused(httpserver, tmp_path):
    httpserver.expect_request("/notes").respond_with_data("", status=302, headers={"Location": "/notes"})
    with pytest.raises(ConfigError, match="redirects"):
        looks(httpserver, tmp_path).look()


def test_tokens_and_headers_are_not_taken_to_another_host(httpserver, tmp_path):
    with HTTPServer(host="127.0.0.1") as other:
        other.expect_request("/notes").respond_with_json([])
        headers = {"Location": other.url_for("/notes")}
        httpserver.expect_request("/notes").respond_with_data("", status=302, headers=headers)
        with pytest.raises(ConfigError, match="one host"):
            looks(httpserver, tmp_path, headers={"X-Api-Key": "s3cret"}).look()
        assert other.log == []


@pytest.mark.parametrize("url", ["http://notes:port/", "notes/all", "file:///etc/hostname"])
def test_an_address_that_is_none_is_told_of(tmp_path, url):
    with pytest.raises(ConfigError, match="cannot be read as it is configured"):
        Looks(HttpSource(kind="http", url=url, records=COLUMNS), tmp_path).look()


def test_an_api_that_does_not_count_pages_is_refused(httpserver, tmp_path):
    httpserver.expect_request("/notes").respond_with_json([note(1)])
    with pytest.raises(ConfigError, match="same records"):
        looks(httpserver, tmp_path, paging="page").look()
    assert len(httpserver.log) == 2


def test_cursors_that_lead_in_a_circle_are_refused(httpserver, tmp_path):
    def answer(request: Request) -> Response:
        turn = "b" if request.args.get("cursor") == "a" else "a"
        return Response(json.dumps({"data": [note(turn)], "next": turn}))

    httpserver.expect_request("/notes").respond_with_handler(answer)
    with pytest.raises(ConfigError, match="cursor=a again"):
        looks(httpserver, tmp_path, paging="cursor", items="data").look()


def test_pages_without_an_end_are_refused(httpserver, tmp_path):
    httpserver.expect_request("/notes").respond_with_handler(lambda one: Response(json.dumps([note(one.args["page"])])))
    with pytest.raises(ConfigError, match="more than 7 pages"):
        looks(httpserver, tmp_path, paging="page", max_pages=7).look()


def test_the_token_is_not_taken_to_another_host(httpserver, tmp_path):
    headers = {"Link": '<http://elsewhere.test/notes>; rel="next"'}
    httpserver.expect_request("/notes").respond_with_data("[]", headers=headers)
    with pytest.raises(ConfigError, match="elsewhere"):
        looks(httpserver, tmp_path, paging="link").look()


def test_a_bad_record_is_refused_and_its_neighbours_arrive(httpserver, tmp_path):
    api = Api(httpserver, "none")
    api.records = [note(1), note(2, body=None), {"body": "nameless"}, 7, note(3, body="x" * 500)]
    source = looks(httpserver, tmp_path)
    source.max_item_bytes = 200
    found = source.look()
    assert [envelope.source_uri for envelope in found.envelopes] == ["1"]
    assert sorted(rejection.reason.split(":")[0] for rejection in found.rejections) == [
        "a record has no id",
        "a record has no text",
        "a record is no object",
        "the record is too large",
    ]


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_page_that_is_too_large_is_not_read_to_its_end(httpserver, tmp_path, is_packed):
    chunk = json.dumps([note(1, body="x" * 1_000_000)]).encode()
    headers = {}
    if is_packed:
        chunk, headers = gzip.compress(chunk * 5), {"Content-Encoding": "gzip"}
    api = Api(httpserver, "none")
    api.answers = [Response(chunk if is_packed else itertools.repeat(chunk), headers=headers)]
    with pytest.raises(ConfigError, match=r"at most 3000000 \(sources\.notes\.max_page_bytes\)"):
        looks(httpserver, tmp_path, max_page_bytes=3_000_000).look()
    assert len(api.requests) == 1


class TestItemsWithAddressesOfTheirOwn:
    @pytest.fixture
    def api(self, httpserver):
        api = Api(httpserver, "none")
        api.notes, api.read, api.at, api.has_etags = {1: "A lamp.", 2: "A bell."}, [], None, True
        api.records = [{"id": 1}, {"id": 2}]

        def one(request: Request) -> Response:
            number = int(request.path.rsplit("/", 1)[1])
            if number not in api.notes:
                return Response(status=404)
            answer = Response(json.dumps(note(number, body=api.notes[number], at=api.at)))
            if api.has_etags:
                answer.set_etag(str(hash(api.notes[number])))
            else:
                answer.last_modified = datetime(2026, 1, 31, tzinfo=UTC)
            answer.make_conditional(request)
            api.read.append((number, answer.status_code))
            return answer

        httpserver.expect_request("/note/1").respond_with_handler(one)
        httpserver.expect_request("/note/2").respond_with_handler(one)
        return api

    @pytest.fixture
    def source(self, httpserver, tmp_path):
        return looks(httpserver, tmp_path, item_url=httpserver.url_for("/note/") + "{id}")

    def test_only_what_differs_comes_with_a_body(self, api, source):
        assert source.changes() == {"1": "fetched", "2": "fetched"}
        api.notes[2] = "A red bell."
        api.read.clear()
        assert source.changes() == {"2": "fetched"}
        assert api.read == [(1, 304), (2, 200)]

    def test_a_record_that_would_become_something_else_is_read_again(self, api, source):
        source.look()
        source.source = source.source.model_copy(
            update={"records": RecordColumns(**{**COLUMNS, "text": ["body", "team"]})}
        )
        api.read.clear()
        assert source.changes() == {"1": "fetched", "2": "fetched"}
        assert api.read == [(1, 200), (2, 200)]

    def test_what_is_told_of_an_unchanged_one_is_kept_when_others_may_read_it(self, api, source):
        source.source = source.source.model_copy(update={"records": RecordColumns(**COLUMNS, modified_at="at")})
        api.at = "2026-01-31T12:00:00Z"
        source.look()
        source.source = source.source.model_copy(update={"acl": ("staff",)})
        api.read.clear()
        found = source.look()
        assert [status for _, status in api.read] == [304, 304]
        assert {envelope.change for envelope in found.envelopes} == {"access"}
        assert {envelope.source_modified_at.isoformat() for envelope in found.envelopes} == {
            "2026-01-31T12:00:00+00:00"
        }
        assert [envelope.source_metadata for envelope in found.envelopes] == [{"team": "ops"}] * 2

    def test_a_date_is_as_good_as_an_etag(self, api, source):
        api.has_etags = False
        source.look()
        api.read.clear()
        assert source.changes() == {}
        assert [status for _, status in api.read] == [304, 304]

    def test_one_whose_answer_is_too_large_is_refused_alone(self, api, source):
        api.notes[1] = "x" * 500
        source.max_item_bytes = 300
        found = source.look()
        assert [envelope.source_uri for envelope in found.envelopes] == ["2"]
        ((key, reason),) = [(one.item_key, one.reason) for one in found.rejections]
        assert (key, "an answer of the API is too large" in reason) == ("1", True)

    def test_one_that_is_listed_but_cannot_be_read_keeps_its_last_version(self, api, source):
        source.look()
        del api.notes[1]
        found = source.look()
        assert (found.vanished, [rejection.item_key for rejection in found.rejections]) == (0, ["1"])
        api.records = [{"id": 2}]
        assert source.changes() == {"1": "vanished"}


def test_a_column_that_makes_no_part_of_the_document_is_no_change(httpserver, tmp_path):
    api = Api(httpserver, "none")
    api.records = [note(1, views=1)]
    source = looks(httpserver, tmp_path)
    source.look()
    api.records = [note(1, views=2)]
    assert source.changes() == {}
