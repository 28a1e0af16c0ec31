"""The connector as ingest makes it: the system's names, the real network, TLS."""

import ssl
from datetime import UTC, datetime, timedelta

import httpcore2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pytest_httpserver import HTTPServer
from werkzeug import Response

from ragstone.runtime.errors import ConfigError
from ragstone.runtime.source_settings import CrawlSource
from spark_jobs.parsers.parse import parse
from spark_jobs.sources.crawl.network import PinnedNetwork
from tests.spark_jobs.sources.crawl.site import PUBLIC, html
from tests.spark_jobs.sources.looks import Looks


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_local_site_is_landed_and_read(server, tmp_path, host):
    server.clear()
    server.no_handler_status_code = 404
    text = "The red lamp glows while the pump is under pressure."
    for path, page in {"/": html("start", "/lamp", "/gone"), "/lamp": html(text, "/")}.items():
        server.expect_request(path).respond_with_data(page, content_type="text/html")
    source = CrawlSource(
        kind="crawl", start=[f"http://{host}:{server.port}"], allow_private=True, requests_per_second=1_000
    )
    looks = Looks(source, tmp_path)
    url = f"http://{host}:{server.port}"
    assert looks.changes() == {f"{url}/": "fetched", f"{url}/lamp": "fetched"}
    lamp = next(one for one in looks.known.values() if one.source_uri.endswith("/lamp"))
    assert text in parse(looks.content(lamp.source_uri), lamp.mime_type, lamp.source_uri).text
    assert looks.changes() == {}


def test_loopback_is_refused_where_private_addresses_are_not_allowed(server, tmp_path):
    server.clear()
    source = CrawlSource(kind="crawl", start=[server.url_for("/")])
    with pytest.raises(ConfigError) as refused:
        Looks(source, tmp_path).look()
    assert "allow_private" in str(refused.value)
    assert server.log == []


def certificate_of(name, folder):
    """Write a certificate that says of itself that it is of this name, and its key; return their file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "site.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    return folder / "site.pem"


def test_tls_is_about_the_name_though_the_address_is_pinned(web, tmp_path):
    file, named = certificate_of("docs.test", tmp_path), []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    context.sni_callback = lambda _socket, name, _context: named.append(name)
    with HTTPServer(host="127.0.0.1", ssl_context=context) as secured:
        secured.expect_request("/").respond_with_handler(lambda request: Response(request.host))
        web.port = secured.port
        network = PinnedNetwork(allow_private=False, resolve=web.resolve, dial=web)
        network.set_deadline(30)
        trusting = ssl.create_default_context(cafile=file)
        with httpcore2.ConnectionPool(ssl_context=trusting, network_backend=network) as pool:
            assert pool.request("GET", "https://docs.test/").content == b"docs.test"
            with pytest.raises(httpcore2.ConnectError, match=r"doesn't match|not valid for"):
                pool.request("GET", "https://other.test/")
    assert named == ["docs.test", "other.test"]
    assert set(web.dialled) == {PUBLIC}
