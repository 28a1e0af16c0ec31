"""When an entry of quarantine closes: content was taken in again, or the item is gone. Told without a JVM."""

import json

import pytest
from werkzeug import Request, Response

from ragstone.lake import quarantine
from ragstone.runtime.source_settings import CrawlSource, HttpSource
from spark_jobs.ingest_documents import _quarantine
from spark_jobs.sources.connect import connect
from spark_jobs.sources.scan import scan_source
from tests.spark_jobs.sources.looks import Looks

LIMIT = 2_000


class Site:
    """A start page that links to one page; the page has an ETag, and answers with `status` when that is set."""

    def __init__(self, httpserver):
        self.text, self.status, self.asked, self.robots = "A red lamp.", None, [], 200
        self.start, self.page = httpserver.url_for("/"), httpserver.url_for("/page")
        httpserver.expect_request("/robots.txt").respond_with_handler(lambda _: Response("", status=self.robots))
        httpserver.expect_request("/sitemap.xml").respond_with_data("", status=404)
        httpserver.expect_request("/").respond_with_data(
            '<a href="/page">page</a><p>Start.</p>', content_type="text/html"
        )
        httpserver.expect_request("/list").respond_with_json([{"id": "page"}])
        httpserver.expect_request("/page").respond_with_handler(self.answer)

    def answer(self, request: Request) -> Response:
        if self.status:
            return Response("", status=self.status)
        is_json = "json" in request.args
        html = f"<p>{self.text}</p>"
        body = json.dumps({"id": "page", "body": self.text}) if is_json else html
        answer = Response(body, content_type="application/json" if is_json else "text/html")
        answer.set_etag(str(len(self.text)))
        answer.make_conditional(request)
        self.asked.append(answer.status_code)
        return answer


@pytest.fixture
def site(httpserver):
    return Site(httpserver)


@pytest.fixture(params=["crawl", "http"])
def source(request, site):
    if request.param == "crawl":
        return CrawlSource(kind="crawl", start=(site.start,), allow_private=True, requests_per_second=1_000, attempts=1)
    columns = {"id": "id", "text": ("body",)}
    return HttpSource(
        kind="http", url=site.start + "list", item_url=site.page + "?json=1", records=columns, requests_per_second=1_000
    )


def look(looks, home, run_id):
    """Look as ingest does, with what is open in quarantine; return the keys of what is open afterwards."""
    ingest = looks.ingest
    opened = {row["item_key"] for row in quarantine.open_entries(home.lake_root, "ingest").to_pylist()}
    connector = connect("notes", looks.source, ingest, looks.parsing, looks.landing)
    scan = scan_source(connector, looks.known, looks.landing, opened)
    looks.known |= {envelope.document_id: envelope for envelope in scan.envelopes}
    _quarantine(home, [scan], run_id)
    return [row["item_key"].rpartition("/")[2] for row in quarantine.open_entries(home.lake_root).to_pylist()]


def test_a_refused_item_is_read_whole_again_before_its_entry_closes(site, source, settings, tmp_path):
    looks = Looks(source, tmp_path, max_item_bytes=LIMIT)
    assert look(looks, settings, "run-1") == []
    assert look(looks, settings, "run-2") == []
    assert site.asked == [200, 304]
    site.text = "x" * 3_000
    assert look(looks, settings, "run-3") == ["page"]
    site.asked.clear()
    site.text = "A red lamp."
    assert look(looks, settings, "run-4") == []
    assert site.asked == [200]


def test_an_item_that_stays_without_having_been_read_keeps_its_entry_open(site, settings, tmp_path):
    source = CrawlSource(kind="crawl", start=(site.start,), allow_private=True, requests_per_second=1_000, max_pages=2)
    looks = Looks(source, tmp_path, max_item_bytes=LIMIT)
    assert look(looks, settings, "run-1") == []
    site.text = "x" * 3_000
    assert look(looks, settings, "run-2") == ["page"]
    # The crawl is cut short before it comes to the page, which is kept as it was landed.
    looks.source = source.model_copy(update={"max_pages": 1})
    assert look(looks, settings, "run-3") == ["page"]
    looks.source = source
    assert look(looks, settings, "run-4") == ["page"]
    site.text = "A blue lamp."
    assert look(looks, settings, "run-5") == []
