import gzip

import pytest
from werkzeug import Response

from ragstone.runtime.errors import BadInputError
from spark_jobs.sources.crawl.sitemaps import read_sitemap
from tests.spark_jobs.sources.crawl.site import html

NAMESPACE = "http://www.sitemaps.org/schemas/sitemap/0.9"


def urls(*locations):
    return _xml("urlset", "url", locations)


def index(*locations):
    return _xml("sitemapindex", "sitemap", locations)


def _xml(outer, inner, locations):
    listed = "".join(f"<{inner}><loc> {location} </loc></{inner}>" for location in locations)
    return f'<?xml version="1.0"?><{outer} xmlns="{NAMESPACE}">{listed}</{outer}>'.encode()


def test_pages_that_nothing_links_to_are_found_over_indexes_and_gzip(web, crawl):
    pages = {f"http://docs.test/{name}": html(name) for name in ("", "one", "two", "three")}
    web.pages |= {
        **pages,
        "http://docs.test/robots.txt": Response("Sitemap: /index.xml\nSitemap: http://docs.test/list.txt"),
        "http://docs.test/index.xml": Response(
            index("http://docs.test/a.xml.gz", "http://docs.test/index.xml", "http://else.test/b.xml")
        ),
        "http://docs.test/a.xml.gz": Response(
            gzip.compress(urls("http://docs.test/one", "http://docs.test/two", "http://else.test/x"))
        ),
        "http://docs.test/list.txt": Response("http://docs.test/three\n# no page\n"),
    }
    assert set(crawl(sitemaps=True).changes()) == {"/", "/one", "/two", "/three"}
    assert not [url for url in web.asked if "else.test" in url]


def test_the_usual_place_is_asked_where_robots_names_none(web, crawl):
    web.pages |= {"http://docs.test/": html("start"), "http://docs.test/a": html("a")}
    web.pages["http://docs.test/sitemap.xml"] = Response(urls("http://docs.test/a"))
    assert set(crawl(sitemaps=True).changes()) == {"/", "/a"}
    assert set(crawl(sitemaps=True, max_depth=0).changes()) == {"/"}


def test_a_sitemap_that_fails_lets_no_page_vanish_that_is_still_there(web, crawl):
    web.pages |= {"http://docs.test/": html("start"), "http://docs.test/a": html("a"), "http://docs.test/b": html("b")}
    web.pages["http://docs.test/sitemap.xml"] = Response(urls("http://docs.test/a", "http://docs.test/b"))
    source = crawl(sitemaps=True)
    source.look()
    del web.pages["http://docs.test/b"]
    for broken in (Response("no", 500), Response(b"<urlset><url>"), Response(gzip.compress(b"\x00" * 10_000_000))):
        web.pages["http://docs.test/sitemap.xml"] = broken
        assert "/a" not in source.changes()
    assert (
        source.known[next(one for one, it in source.known.items() if it.source_uri.endswith("/b"))].change == "vanished"
    )
    web.pages["http://docs.test/sitemap.xml"] = Response("no", 404)
    assert source.changes() == {"/a": "vanished"}


def test_sitemaps_without_end_are_not_read_for_ever(web, crawl):
    web.pages["http://docs.test/"] = html("start")

    def answer(number):
        return lambda _request: Response(index(f"http://docs.test/map{number + 1}.xml"))

    web.pages |= {f"http://docs.test/map{number}.xml": answer(number) for number in range(300)}
    web.pages["http://docs.test/robots.txt"] = Response("Sitemap: /map0.xml")
    crawl(sitemaps=True).look()
    assert sum("map" in url for url in web.asked) == 100


def test_entities_are_neither_loaded_nor_multiplied(tmp_path):
    (tmp_path / "secret").write_text("http://docs.test/secret")
    outside = f'<!DOCTYPE u [<!ENTITY x SYSTEM "file://{tmp_path}/secret">]><urlset><url><loc>&x;</loc></url></urlset>'
    assert read_sitemap(outside.encode(), "http://docs.test/", 1_000).pages == []
    laughs = '<!ENTITY a "http://docs.test/x">' + "".join(
        f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    bomb = f"<!DOCTYPE u [{laughs}]><urlset><url><loc>&i;</loc></url></urlset>"
    with pytest.raises(BadInputError, match="not readable"):
        read_sitemap(bomb.encode(), "http://docs.test/", 1_000)


def test_no_more_than_50000_pages_are_taken_from_one_sitemap():
    sitemap = read_sitemap("\n".join(f"http://docs.test/{at}" for at in range(50_001)).encode(), "http://docs.test/", 9)
    assert (len(sitemap.pages), sitemap.is_whole) == (50_000, False)


def test_what_is_no_sitemap_is_refused():
    with pytest.raises(BadInputError):
        read_sitemap(b"<urlset><url></urlset>", "http://docs.test/", 1_000)
