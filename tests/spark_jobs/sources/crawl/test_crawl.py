import gzip

import pytest
from werkzeug import Response
from werkzeug.http import http_date

from ragstone.runtime.errors import ConfigError, DependencyUnavailableError
from tests.spark_jobs.sources.crawl.site import html


def redirect(target, status=301):
    return Response("", status, {"Location": target})


def test_pages_are_taken_along_links_up_to_a_depth_each_once(web, crawl):
    web.pages |= {
        "http://docs.test/": html("start", "a", "/b#part", "a", "mailto:x@y.z", "javascript:go()"),
        "http://docs.test/a": html("a", "/", "/b", "deep/"),
        "http://docs.test/b": html("b", "a#x"),
        "http://docs.test/deep/": html("deep", "deeper"),
        "http://docs.test/deep/deeper": html("deeper"),
    }
    source = crawl(max_depth=2)
    assert source.changes() == dict.fromkeys(["/", "/a", "/b", "/deep/"], "fetched")
    assert web.pages_asked() == [f"http://docs.test{path}" for path in ("/", "/a", "/b", "/deep/")]


def test_other_hosts_and_other_ports_are_not_asked_unless_they_are_named(web, crawl):
    web.pages["http://docs.test/"] = html("start", "http://more.test/x", "http://docs.test:81/y")
    web.pages["http://more.test/x"] = html("x")
    source = crawl()
    assert source.changes() == {"/": "fetched"}
    assert set(web.asked) == {"http://docs.test/robots.txt", "http://docs.test/"}
    source.settings["hosts"] = ["More.test"]
    assert source.changes() == {"http://more.test/x": "fetched"}


def test_patterns_on_paths_decide_what_is_taken_but_a_start_page_is_read_for_its_links(web, crawl):
    web.pages |= {
        "http://docs.test/": html("start", "/guide/", "/guide/draft/x", "/shop", "/guide/a%62c"),
        "http://docs.test/guide/": html("guide"),
        "http://docs.test/guide/draft/x": html("draft"),
        "http://docs.test/shop": html("shop"),
        "http://docs.test/guide/abc": html("abc"),
    }
    source = crawl(include=["guide/**"], exclude=["guide/draft/**"])
    assert source.changes() == {"/guide/": "fetched", "/guide/abc": "fetched"}
    assert "http://docs.test/shop" not in web.asked
    assert "http://docs.test/guide/draft/x" not in web.asked


def test_links_without_end_stop_at_max_pages_and_what_was_known_stays(web, crawl):
    web.pages["http://docs.test/"] = html("start", "/day?d=0", "/old")
    web.pages["http://docs.test/old"] = html("old")
    for day in range(100):
        web.pages[f"http://docs.test/day?d={day}"] = html(f"day {day}", f"/day?d={day + 1}", f"/day?d={day + 2}")
    source = crawl(max_pages=10, max_depth=50)
    assert len(source.changes()) == 10
    assert len(web.pages_asked()) == 10
    # A link that comes before them pushes pages out of the crawl, which does not mean that they are gone.
    web.pages["http://docs.test/"] = html("start", "/new", "/day?d=0")
    web.pages["http://docs.test/new"] = html("new")
    assert source.changes() == {"/": "fetched", "/new": "fetched"}


def test_a_known_page_that_only_links_too_deep_lead_to_stays(web, crawl):
    web.pages |= {
        "http://docs.test/": html("start", "/a", "/b"),
        "http://docs.test/a": html("a", "/a/x"),
        "http://docs.test/a/x": html("x"),
        "http://docs.test/b": html("b"),
    }
    source = crawl(max_depth=1)
    web.pages["http://docs.test/"] = html("start", "/a", "/b", "/a/x")
    source.look()
    web.pages["http://docs.test/"] = html("start", "/a")
    vanished = [uri for uri, change in source.changes().items() if change == "vanished"]
    assert vanished == ["/b"]


def test_what_no_link_leads_to_any_more_vanishes_and_comes_back(web, crawl):
    web.pages |= {"http://docs.test/": html("start", "/a", "/b"), "http://docs.test/a": html("a", "/a/x")}
    web.pages |= {"http://docs.test/b": html("b"), "http://docs.test/a/x": html("x")}
    source = crawl()
    source.look()
    web.pages["http://docs.test/"] = html("start", "/b")
    assert source.changes() == {"/": "fetched", "/a": "vanished", "/a/x": "vanished"}
    web.pages["http://docs.test/"] = html("start", "/a", "/b")
    assert source.changes() == {"/": "fetched", "/a": "fetched", "/a/x": "fetched"}


@pytest.mark.parametrize("status", [404, 410])
def test_a_page_that_answers_that_it_is_gone_vanishes(web, crawl, status):
    web.pages |= {"http://docs.test/": html("start", "/a"), "http://docs.test/a": html("a")}
    source = crawl()
    source.look()
    web.pages["http://docs.test/a"] = Response("gone", status)
    assert source.changes() == {"/a": "vanished"}


def test_a_page_that_cannot_be_had_stays_and_so_does_what_only_it_links_to(web, crawl):
    web.pages |= {
        "http://docs.test/": html("start", "/a"),
        "http://docs.test/a": html("a", "/a/x"),
        "http://docs.test/a/x": html("x"),
    }
    source = crawl()
    source.look()
    for status in (500, 503, 403):
        web.pages["http://docs.test/a"] = Response("no", status)
        scan = source.look()
        assert [rejection.item_key for rejection in scan.rejections] == ["http://docs.test/a"]
        assert (scan.vanished, scan.unchanged) == (0, 2)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_new_page_that_is_shown_to_others_alone_is_passed_over(web, crawl, status):
    web.pages |= {"http://docs.test/": html("start", "/a"), "http://docs.test/a": Response("no", status)}
    scan = crawl().look()
    assert (len(scan.envelopes), scan.rejections) == (1, [])


def test_where_a_page_with_unknown_links_fails_known_pages_are_asked_for_themselves(web, crawl):
    web.pages |= {
        "http://docs.test/": html("start", "/hub"),
        "http://docs.test/hub": html("hub", "/a", "/b", head='<meta name="robots" content="noindex">'),
        "http://docs.test/a": html("a"),
        "http://docs.test/b": html("b"),
    }
    source = crawl()
    source.look()
    web.pages["http://docs.test/hub"] = Response("no", 500)
    del web.pages["http://docs.test/b"]
    assert source.changes() == {"/b": "vanished"}


def test_a_page_known_by_its_etag_or_date_costs_no_body_and_its_landed_links_are_followed(web, crawl):
    sent = []

    def versioned(name, body, **headers):
        def answer(request):
            answered = Response(body, headers={"Content-Type": "text/html", **headers})
            answered.make_conditional(request)
            sent.append((name, answered.status_code))
            return answered

        return answer

    old = {"Last-Modified": "Tue, 02 Jan 2024 03:04:05 GMT"}
    web.pages |= {
        "http://docs.test/": versioned("start", html("start", "/a"), ETag='"1"'),
        "http://docs.test/a": versioned("a", html("a", "/b"), **old),
        "http://docs.test/b": html("b"),
    }
    source = crawl()
    source.look()
    sent.clear()
    scan = source.look()
    assert sent == [("start", 304), ("a", 304)]
    assert (scan.envelopes, scan.unchanged, scan.bytes_fetched) == ([], 3, 0)


def test_a_page_whose_landed_copy_is_lost_is_asked_for_whole(web, crawl):
    web.pages["http://docs.test/"] = lambda _request: Response(
        html("start"), headers={"Content-Type": "text/html", "ETag": '"1"'}
    )
    source = crawl()
    (envelope,) = source.look().envelopes
    (source.landing.root / envelope.landing_uri).unlink()
    source.look()
    assert "If-None-Match" not in web.headers["http://docs.test/"]


def test_a_date_that_is_that_of_the_answer_is_no_version(web, crawl):
    def stamped(request):
        return Response(html("a"), headers={"Content-Type": "text/html", "Last-Modified": http_date()})

    web.pages["http://docs.test/"] = stamped
    (envelope,) = crawl().look().envelopes
    assert envelope.source_version is None


def test_redirects_are_followed_and_the_page_stands_under_its_last_url(web, crawl):
    web.pages |= {
        "http://docs.test/": html("start", "/old", "/new"),
        "http://docs.test/old": redirect("/middle"),
        "http://docs.test/middle": redirect("http://docs.test/new", 302),
        "http://docs.test/new": html("new"),
    }
    assert crawl().changes() == {"/": "fetched", "/new": "fetched"}


def test_redirects_in_a_circle_and_without_end_are_set_aside(web, crawl):
    web.pages |= {"http://docs.test/": html("start", "/a", "/n0"), "http://docs.test/a": redirect("/b")}
    web.pages["http://docs.test/b"] = redirect("/a")
    web.pages |= {f"http://docs.test/n{at}": redirect(f"/n{at + 1}") for at in range(100)}
    assert set(crawl().refused()) == {"/b", "/n10"}
    assert len(web.asked) < 20


def test_a_redirect_to_another_host_is_not_followed(web, crawl):
    web.pages |= {"http://docs.test/": html("start", "/a"), "http://docs.test/a": redirect("http://else.test/")}
    assert crawl().changes() == {"/": "fetched"}
    assert not [url for url in web.asked if "else.test" in url]


def test_a_start_page_that_redirects_to_another_host_names_it(web, crawl):
    web.pages["http://docs.test/"] = redirect("http://www.docs.test/")
    with pytest.raises(ConfigError) as refused:
        crawl().look()
    assert "http://www.docs.test/" in str(refused.value)


def test_a_page_gives_way_to_its_canonical_url_on_hosts_that_are_allowed(web, crawl):
    def canonical(url):
        return f'<link rel="canonical" href="{url}">'

    web.pages |= {
        "http://docs.test/": html("start", "/print?of=a", "/a?ref=1", "/foreign", "/one", "/two", "/lost"),
        "http://docs.test/print?of=a": html("a", head=canonical("/a")),
        "http://docs.test/a?ref=1": html("a", head=canonical("http://docs.test/a")),
        "http://docs.test/a": html("a", head=canonical("http://docs.test/a")),
        "http://docs.test/foreign": html("foreign", head=canonical("http://else.test/")),
        "http://docs.test/one": html("one", head=canonical("/two")),
        "http://docs.test/two": html("two", head=canonical("/one")),
    }
    taken = crawl().changes()
    assert {"/", "/a", "/foreign"} <= taken.keys()
    assert len(taken.keys() & {"/one", "/two"}) == 1
    assert len(taken) == 4


def test_noindex_is_not_taken_and_nofollow_is_not_followed(web, crawl):
    def meta(content, name="robots"):
        return f'<meta name="{name}" content="{content}">'

    web.pages |= {
        "http://docs.test/": html("start", "/noindex", "/nofollow", "/none", "/named", "/header", "/other"),
        "http://docs.test/noindex": html("x", "/from-noindex", head=meta("NOINDEX")),
        "http://docs.test/nofollow": html("x", "/from-nofollow", head=meta("nofollow")),
        "http://docs.test/none": html("x", "/from-none", head=meta("none")),
        "http://docs.test/named": html("x", head=meta("noindex", "Ragstone")),
        "http://docs.test/header": Response(html("x"), headers={"X-Robots-Tag": "noindex"}, mimetype="text/html"),
        "http://docs.test/other": Response(html("x"), headers={"X-Robots-Tag": "bot: none"}, mimetype="text/html"),
        **{f"http://docs.test/from-{one}": html(one) for one in ("noindex", "nofollow", "none", "link")},
    }
    web.pages["http://docs.test/other"].set_data(html("x") + '<a rel="nofollow" href="/from-link">x</a>')
    assert set(crawl().changes()) == {"/", "/nofollow", "/other", "/from-noindex"}


def test_only_pages_and_pdfs_are_taken_told_by_their_bytes(web, crawl):
    web.pages |= {
        "http://docs.test/": html("start", "/image", "/plain", "/paper", "/zip", "/notes.md", "/data.json"),
        "http://docs.test/image": Response(b"\x89PNG" * 10, mimetype="image/png"),
        "http://docs.test/plain": Response("plain text", mimetype="text/plain"),
        "http://docs.test/notes.md": Response("# Notes", mimetype="text/plain"),
        "http://docs.test/paper": Response(b"%PDF-1.7\n...", mimetype="application/octet-stream"),
        "http://docs.test/zip": Response(b"PK\x03\x04zip", mimetype="application/octet-stream"),
        "http://docs.test/data.json": Response("{}", mimetype="application/json"),
    }
    scan = crawl().look()
    kinds = {envelope.source_uri.rpartition("/")[2]: envelope.mime_type for envelope in scan.envelopes}
    assert kinds == {
        "": "text/vnd.ragstone.crawled+html",
        "plain": "text/plain",
        "notes.md": "text/markdown",
        "paper": "application/pdf",
    }
    assert not scan.rejections


def test_huge_pages_and_gzip_bombs_are_set_aside_without_being_read_to_their_end(web, crawl):
    sent = {"huge": 0}

    def huge(request):
        def body():
            for _ in range(10_000):
                sent["huge"] += 1
                yield b"<p>" + b"x" * 99_997

        return Response(body(), mimetype="text/html")

    bomb = gzip.compress(gzip.compress(b"\x00" * 50_000_000) + b"\x00" * 50_000_000)
    web.pages |= {
        "http://docs.test/": html("start", "/huge", "/told", "/bomb", "/packed", "/cut", "/brotli"),
        "http://docs.test/huge": huge,
        # Its first bytes never make it too large: only what it says of itself does.
        "http://docs.test/told": lambda _request: Response(
            web.drip(b"x" * 10_000), headers={"Content-Length": "200000"}, mimetype="text/html"
        ),
        "http://docs.test/bomb": Response(bomb, headers={"Content-Encoding": "gzip"}, mimetype="text/html"),
        "http://docs.test/packed": Response(
            gzip.compress(html("packed").encode()), headers={"Content-Encoding": "gzip"}, mimetype="text/html"
        ),
        "http://docs.test/cut": Response(
            gzip.compress(html("cut").encode())[:-9], headers={"Content-Encoding": "gzip"}, mimetype="text/html"
        ),
        "http://docs.test/brotli": Response(b"\x8b", headers={"Content-Encoding": "br"}, mimetype="text/html"),
    }
    source = crawl()
    scan = source.look()
    refused = {one.item_key.rpartition("/")[2]: one.reason for one in scan.rejections}
    assert set(refused) == {"huge", "told", "bomb", "cut", "brotli"}
    assert all("at most 100000" in refused[name] for name in ("huge", "told", "bomb"))
    assert sent["huge"] < 1_000
    packed = next(one for one in scan.envelopes if one.source_uri.endswith("packed"))
    assert source.landing.read_object(packed.landing_uri) == html("packed").encode()


def test_a_body_that_drips_ends_at_the_timeout(web, crawl):
    web.pages["http://docs.test/"] = html("start", "/drip", "/b")
    web.pages["http://docs.test/drip"] = lambda _request: Response(web.drip(b"<p>" * 10_000), mimetype="text/html")
    web.pages["http://docs.test/b"] = html("b")
    source = crawl(timeout_s=0.5)
    scan = source.look()
    assert {envelope.source_uri for envelope in scan.envelopes} == {"http://docs.test/", "http://docs.test/b"}
    assert "timeout_s" in scan.rejections[0].reason


@pytest.mark.parametrize("status", [500, 503])
def test_a_start_page_that_does_not_answer_ends_the_look(web, crawl, status):
    web.pages["http://docs.test/"] = html("start")
    source = crawl()
    source.look()
    web.pages["http://docs.test/"] = Response("no", status)
    with pytest.raises(DependencyUnavailableError):
        source.look()


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_start_page_that_is_not_there_is_a_wrong_setting(web, crawl, status):
    web.pages["http://docs.test/"] = Response("no", status)
    with pytest.raises(ConfigError):
        crawl().look()


def test_a_host_that_stops_answering_is_not_asked_for_each_of_its_pages(web, crawl):
    web.pages["http://docs.test/"] = html("start", *(f"/{at}" for at in range(40)))
    web.pages |= {f"http://docs.test/{at}": html(f"page {at}") for at in range(40)}
    source = crawl()
    source.look()
    web.pages |= {f"http://docs.test/{at}": Response("no", 503) for at in range(40)}
    web.pages_asked()
    scan = source.look()
    assert len(set(web.pages_asked())) == 11
    assert (scan.vanished, len(scan.rejections), scan.unchanged) == (0, 10, 31)


def test_a_server_that_says_when_is_asked_again(web, crawl):
    answers = [Response("no", 429, {"Retry-After": "0"}), html("start")]
    web.pages["http://docs.test/"] = lambda _request: (
        answer if isinstance(answer := answers.pop(0), Response) else Response(answer, mimetype="text/html")
    )
    assert crawl().changes() == {"/": "fetched"}


def test_settings_that_shut_pages_out_let_them_vanish(web, crawl):
    web.pages |= {"http://docs.test/": html("start", "/a"), "http://docs.test/a": html("a")}
    source = crawl()
    source.look()
    source.settings["exclude"] = ["a"]
    assert source.changes() == {"/a": "vanished"}


def test_who_may_read_a_page_changes_though_it_cannot_be_read_now(web, crawl):
    web.pages |= {"http://docs.test/": html("start", "/a", "/b"), "http://docs.test/a": html("a")}
    web.pages["http://docs.test/b"] = html("b")
    source = crawl()
    source.look()
    source.settings["acl"] = ["staff"]
    web.pages["http://docs.test/a"] = Response("no", 500)
    web.pages["http://docs.test/robots.txt"] = Response("User-agent: *\nDisallow: /b", mimetype="text/plain")
    scan = source.look()
    assert {one.source_uri[-1]: one.change for one in scan.envelopes} == {"/": "access", "a": "access", "b": "access"}
    # Whatever was set aside and whatever changed is accounted for, each by itself.
    assert scan.items == len(scan.envelopes) + len(scan.rejections) + scan.unchanged
    assert source.changes() == {}


def test_another_way_of_reading_pages_reaches_pages_that_have_not_changed(web, crawl):
    def answer(request):
        return Response(html("start", "/a"), headers={"Content-Type": "text/html", "ETag": '"1"'}).make_conditional(
            request
        )

    web.pages |= {"http://docs.test/": answer, "http://docs.test/a": html("a")}
    source = crawl()
    source.look()
    source.settings["content"] = "whole"
    scan = source.look()
    assert [(one.source_uri, one.change, one.mime_type) for one in scan.envelopes] == [
        ("http://docs.test/", "fetched", "text/html"),
        ("http://docs.test/a", "fetched", "text/html"),
    ]
    assert (scan.changed, scan.new) == (2, 0)
    assert source.changes() == {}
