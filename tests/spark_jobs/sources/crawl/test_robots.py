import pytest
from werkzeug import Response

from ragstone.runtime.errors import ConfigError, DependencyUnavailableError
from tests.spark_jobs.sources.crawl.site import html


def site(web, robots):
    web.pages |= {
        "http://docs.test/robots.txt": robots,
        "http://docs.test/": html("start", "/open", "/shut/a", "/x.cgi?y"),
        "http://docs.test/open": html("open"),
        "http://docs.test/shut/a": html("a", "/open/b"),
        "http://docs.test/open/b": html("b"),
        "http://docs.test/x.cgi?y": html("y"),
    }


def text(*lines):
    return Response("\n".join(lines), mimetype="text/plain")


def test_what_is_disallowed_is_not_asked_for(web, crawl):
    site(web, text("User-agent: *", "Disallow: /shut/", "Disallow: /*.cgi", "Allow: /"))
    assert crawl().changes() == {"/": "fetched", "/open": "fetched"}
    assert web.asked.count("http://docs.test/robots.txt") == 1


def test_rules_for_our_name_come_before_those_for_all(web, crawl):
    site(web, text("User-agent: *", "Disallow: /", "User-agent: Ragstone", "Disallow: /open"))
    assert set(crawl(user_agent="ragstone/0.4 (+docs@acme.test)").changes()) == {"/", "/shut/a", "/x.cgi?y"}
    assert web.headers["http://docs.test/"]["User-Agent"] == "ragstone/0.4 (+docs@acme.test)"


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_robots_file_that_is_not_there_allows_everything(web, crawl, status):
    site(web, Response("no", status))
    assert len(crawl().look().envelopes) == 5


@pytest.mark.parametrize("status", [429, 500, 501, 503])
def test_a_robots_file_that_cannot_be_read_forbids_everything(web, crawl, status):
    site(web, Response("no", status))
    with pytest.raises(DependencyUnavailableError) as refused:
        crawl().look()
    assert "robots.txt" in str(refused.value)
    assert web.pages_asked() == []


def test_a_start_page_that_is_disallowed_is_a_wrong_setting(web, crawl):
    site(web, text("User-agent: *", "Disallow: /"))
    with pytest.raises(ConfigError):
        crawl().look()


def test_known_pages_that_are_disallowed_later_stay_with_what_they_link_to(web, crawl):
    site(web, text(""))
    source = crawl()
    source.look()
    site(web, text("User-agent: *", "Disallow: /shut/"))
    scan = source.look()
    assert (scan.envelopes, scan.rejections, scan.unchanged) == ([], [], 5)


def test_a_second_host_whose_robots_file_fails_loses_nothing(web, crawl):
    web.pages |= {
        "http://docs.test/": html("start", "http://more.test/a"),
        "http://more.test/a": html("a", "/b"),
        "http://more.test/b": html("b"),
    }
    source = crawl(hosts=["more.test"])
    source.look()
    web.pages["http://more.test/robots.txt"] = Response("no", 500)
    scan = source.look()
    assert (scan.envelopes, scan.unchanged) == ([], 3)


def test_requests_to_a_host_are_as_far_apart_as_it_asks(web, crawl):
    site(web, text("User-agent: *", "Crawl-delay: 7"))
    source = crawl(requests_per_second=2)
    source.look()
    # The first pause, after robots.txt, is ours: only then its wish is known.
    assert [round(pause, 0) for pause in source.pauses[1:]] == [7] * (len(source.pauses) - 1)
    assert source.pauses[0] < 1


def test_a_delay_of_hours_forbids_everything(web, crawl):
    site(web, text("User-agent: *", "Crawl-delay: 86400"))
    with pytest.raises(ConfigError):
        crawl().look()


def test_a_robots_file_is_followed_over_redirects_on_allowed_hosts_alone(web, crawl):
    site(web, Response("", 301, {"Location": "/moved.txt"}))
    web.pages["http://docs.test/moved.txt"] = text("User-agent: *", "Disallow: /shut/", "Disallow: /x.cgi")
    assert set(crawl().changes()) == {"/", "/open"}
    site(web, Response("", 301, {"Location": "http://else.test/robots.txt"}))
    with pytest.raises(ConfigError):
        crawl().look()
