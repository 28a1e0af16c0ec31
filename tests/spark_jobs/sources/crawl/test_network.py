import socket
import threading
from contextlib import contextmanager

import pytest
from werkzeug import Response

from ragstone.runtime.errors import ConfigError, DependencyUnavailableError
from tests.spark_jobs.sources.crawl.site import PUBLIC, html


def test_a_name_is_resolved_once_and_only_its_first_address_is_connected_to(web, crawl):
    web.names["docs.test"] = [PUBLIC, "127.0.0.1", "169.254.169.254"]
    web.pages |= {"http://docs.test/": html("start", "/a", "/b"), "http://docs.test/a": html("a")}
    crawl().look()
    assert len(web.dialled) > 2
    assert set(web.dialled) == {PUBLIC}


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:10.0.0.1"])
def test_a_start_page_at_a_private_address_is_refused_and_never_connected_to(web, crawl, address):
    web.names["docs.test"] = [address]
    web.pages["http://docs.test/"] = html("start")
    with pytest.raises(ConfigError) as refused:
        crawl().look()
    assert address in str(refused.value)
    assert web.dialled == []


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1/",
        "http://localhost/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://2130706433/",
        "http://inside.test/",
        "file:///etc/passwd",
        "ftp://docs.test/",
        "//127.0.0.1/",
    ],
)
@pytest.mark.parametrize("named", [False, True])
def test_links_and_redirects_into_the_own_network_are_not_connected_to(web, crawl, target, named):
    web.names |= {"inside.test": ["10.0.0.7"], "localhost": ["127.0.0.1"], "2130706433": ["127.0.0.1"]}
    web.names |= {one: [one.strip("[]")] for one in ("127.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1")}
    web.pages |= {
        "http://docs.test/": html("start", "/to", target),
        "http://docs.test/to": Response("", 302, {"Location": target}),
    }
    # Even a host that is named in the settings must have a public address.
    hosts = ["127.0.0.1", "localhost", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "inside.test"]
    assert crawl(hosts=hosts if named else []).changes() == {"/": "fetched"}
    assert set(web.dialled) == {PUBLIC}


def test_private_addresses_are_crawled_where_that_is_allowed_but_metadata_services_are_not(web, crawl):
    web.names |= {"docs.test": ["10.1.2.3"], "meta.test": ["169.254.169.254"]}
    web.pages |= {"http://docs.test/": html("start", "http://meta.test/"), "http://meta.test/": html("secret")}
    source = crawl(allow_private=True, hosts=["meta.test"])
    assert source.changes() == {"/": "fetched"}
    assert set(web.dialled) == {"10.1.2.3"}


@contextmanager
def dripping_headers(over):
    """Serve connections on loopback that answer one byte of a header at a time, and never a whole one."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(1_000)
                try:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                    while not over.wait(0.02):
                        connection.sendall(b"x")
                except OSError:
                    pass

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    over.set()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def test_headers_that_drip_end_at_the_timeout(web, crawl):
    with dripping_headers(web.over) as port:
        web.port = port
        with pytest.raises(DependencyUnavailableError):
            crawl(timeout_s=0.3).look()


def test_a_host_that_refuses_connections_or_has_no_name_is_an_outage(web, crawl):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        web.port = taken.getsockname()[1]
    with pytest.raises(DependencyUnavailableError):
        crawl().look()
