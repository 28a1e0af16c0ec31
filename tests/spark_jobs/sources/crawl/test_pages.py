import httpx2
import pytest

from spark_jobs.sources.crawl.pages import header_directives, read_facts

URL = "http://docs.test/guide/page"


def facts(source):
    return read_facts(source.encode(), URL, "ragstone/1.0")


def test_links_are_taken_relative_to_the_base_each_once_and_in_order():
    page = facts(
        '<base href="/base/"><base href="/second/"><a href="b">b</a><a href="a#x">a</a><a href="a#y">a</a>'
        '<area href="c"><frame src="d"><a>none</a><a href="">self</a><a rel="external NOFOLLOW" href="e">e</a>'
    )
    assert page.links == [f"http://docs.test/base/{name}" for name in "bacd"]


def test_without_a_base_links_are_relative_to_the_page_and_entities_are_read():
    assert facts('<a href="x?a=1&amp;b=2">x</a>').links == ["http://docs.test/guide/x?a=1&b=2"]


def test_the_first_canonical_url_counts():
    assert facts(
        '<link rel="alternate" href="/x"><link rel="Canonical" href="/y"><link rel=canonical href=/z>'
    ).canonical == ("http://docs.test/y")


def test_pages_of_any_depth_and_size_are_read():
    assert facts("<div>" * 100_000 + '<a href="/x">x</a>').links == ["http://docs.test/x"]
    assert len(facts("".join(f'<a href="/{at}">x</a>' for at in range(20_000))).links) == 10_000


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        (["noindex"], (True, False)),
        (["noarchive, NoFollow"], (False, True)),
        (["none"], (True, True)),
        (["otherbot: noindex"], (False, False)),
        (["otherbot: noindex", "ragstone: nofollow"], (False, True)),
        (["unavailable_after: 25 Jun 2030 15:00:00 PST"], (False, False)),
    ],
)
def test_header_directives_are_those_for_all_and_those_for_us(lines, wanted):
    told = header_directives(httpx2.Headers([("X-Robots-Tag", line) for line in lines]), "Ragstone/1.0")
    assert (told.noindex, told.nofollow) == wanted
