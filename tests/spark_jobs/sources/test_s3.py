from collections import Counter

import boto3
import pytest
from moto.server import ThreadedMotoServer

from ragstone.runtime.errors import ConfigError, DependencyUnavailableError
from ragstone.runtime.source_settings import S3Source
from spark_jobs.sources import s3
from tests.spark_jobs.sources.faulty_proxy import Fault, faulty_proxy
from tests.spark_jobs.sources.looks import Looks

BUCKET = "handbooks"


@pytest.fixture(scope="module")
def server():
    started = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    started.start()
    yield started
    started.stop()


@pytest.fixture
def proxy(server):
    with faulty_proxy(*server.get_host_and_port()) as running:
        yield running


@pytest.fixture
def store(server, monkeypatch):
    """A client for an empty bucket."""
    for name, value in (("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("TEAM_KEY", "key")):
        monkeypatch.setenv(name, value)
    host, port = server.get_host_and_port()
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    yield client
    for version in client.list_object_versions(Bucket=BUCKET).get("Versions", []):
        client.delete_object(Bucket=BUCKET, Key=version["Key"], VersionId=version["VersionId"])
    for marker in client.list_object_versions(Bucket=BUCKET).get("DeleteMarkers", []):
        client.delete_object(Bucket=BUCKET, Key=marker["Key"], VersionId=marker["VersionId"])
    client.delete_bucket(Bucket=BUCKET)


def put(store, **objects):
    for name, text in objects.items():
        store.put_object(Bucket=BUCKET, Key=f"docs/{name}.md", Body=text.encode())


def looks(proxy, tmp_path, **changes):
    facts = {"bucket": BUCKET, "prefix": "docs/", "endpoint_url": proxy.url, "attempts": 3, **changes}
    return Looks(S3Source(kind="s3", **facts), tmp_path)


def test_only_what_differs_is_downloaded(store, proxy, tmp_path):
    put(store, lamp="A lamp.", bell="A bell.", door="A door.")
    store.put_object(Bucket=BUCKET, Key="docs/folder/", Body=b"")
    source = looks(proxy, tmp_path)
    assert source.changes() == {"bell.md": "fetched", "door.md": "fetched", "lamp.md": "fetched"}
    assert source.content("lamp.md") == b"A lamp."
    put(store, lamp="A red lamp.", gate="A gate.")
    store.delete_object(Bucket=BUCKET, Key="docs/bell.md")
    proxy.requests.clear()

    assert source.changes() == {"lamp.md": "fetched", "gate.md": "fetched", "bell.md": "vanished"}
    downloads = Counter(path.split("?")[0] for method, path in proxy.requests if ".md" in path and method == "GET")
    assert downloads == {f"/{BUCKET}/docs/lamp.md": 1, f"/{BUCKET}/docs/gate.md": 1}


def test_version_ids_tell_apart_what_etags_do_not(store, proxy, tmp_path):
    store.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    put(store, lamp="A lamp.", bell="A bell.")
    source = looks(proxy, tmp_path, versioned=True)
    source.look()
    put(store, lamp="A lamp.")
    store.delete_object(Bucket=BUCKET, Key="docs/bell.md")
    proxy.requests.clear()
    assert source.changes() == {"lamp.md": "metadata", "bell.md": "vanished"}
    assert proxy.got("GET", "lamp.md?versionId=") == 1


def test_keys_are_chosen_by_patterns_below_the_prefix(store, proxy, tmp_path):
    put(store, **{"a": "A.", "deep/b": "B.", "drafts/c": "C."})
    store.put_object(Bucket=BUCKET, Key="elsewhere/d.md", Body=b"D.")
    source = looks(proxy, tmp_path, include=["**/*.md"], exclude=["drafts/**"])
    assert set(source.changes()) == {"a.md", "deep/b.md"}


def test_a_listing_of_many_pages_is_whole(store, proxy, tmp_path, monkeypatch):
    monkeypatch.setattr(s3, "_PAGE_KEYS", 2)
    put(store, **{f"n{number}": f"Text {number}." for number in range(5)})
    found = looks(proxy, tmp_path).look()
    assert (found.items, found.new) == (5, 5)
    assert proxy.got("GET", "continuation-token") == 2


def test_a_listing_that_breaks_off_changes_nothing(store, proxy, tmp_path, monkeypatch):
    monkeypatch.setattr(s3, "_PAGE_KEYS", 2)
    put(store, **{f"n{number}": f"Text {number}." for number in range(5)})
    source = looks(proxy, tmp_path)
    proxy.spoil = lambda _method, path: Fault(500, b"<Error/>") if "continuation-token" in path else None
    with pytest.raises(DependencyUnavailableError, match="does not answer") as refused:
        source.look()
    assert source.known == {}
    assert "nothing was changed" in refused.value.next_step
    assert proxy.got("GET", "continuation-token") == 3


@pytest.mark.parametrize(
    "fault", [Fault(503), Fault(500, b"<Error/>"), Fault(cut=True), Fault(reset=True), Fault(silent=True)]
)
def test_throttling_and_broken_connections_are_tried_again(store, proxy, tmp_path, fault):
    put(store, lamp="A lamp that is read in two halves.")
    proxy.spoil = lambda _method, path: fault if "lamp" in path and proxy.got("GET", "lamp") == 1 else None
    source = looks(proxy, tmp_path)
    assert source.changes() == {"lamp.md": "fetched"}
    assert source.content("lamp.md") == b"A lamp that is read in two halves."
    assert proxy.got("GET", "lamp") == 2


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault(403, b"<Error><Code>AccessDenied</Code></Error>"), "may be read"),
        (Fault(404, b"<Error><Code>NoSuchKey</Code></Error>"), "has gone or changed"),
    ],
)
def test_refusals_are_final_and_the_neighbours_arrive(store, proxy, tmp_path, fault, told):
    put(store, lamp="A lamp.", bell="A bell.")
    proxy.spoil = lambda _method, path: fault if "lamp" in path else None
    found = looks(proxy, tmp_path).look()
    assert [envelope.source_uri for envelope in found.envelopes] == ["bell.md"]
    assert told in found.rejections[0].reason
    assert proxy.got("GET", "lamp") == 1


@pytest.mark.parametrize("fault", [Fault(503), Fault(cut=True), Fault(reset=True), Fault(silent=True)])
def test_what_is_broken_for_good_is_set_aside_and_keeps_its_last_version(store, proxy, tmp_path, fault):
    put(store, lamp="A lamp.")
    source = looks(proxy, tmp_path)
    source.look()
    put(store, lamp="A red lamp.")
    proxy.spoil = lambda _method, path: fault if "lamp" in path else None
    found = source.look()
    assert (found.envelopes, len(found.rejections)) == ([], 1)
    assert proxy.got("GET", "lamp") == 1 + 3


def test_an_object_that_is_too_large_is_never_downloaded(store, proxy, tmp_path):
    put(store, lamp="A lamp.", long="x" * 2_000)
    source = looks(proxy, tmp_path)
    source.max_item_bytes = 1_000
    found = source.look()
    assert "too large" in found.rejections[0].reason
    assert proxy.got("GET", "long.md") == 0
    assert found.new == 1


def test_a_bucket_that_is_not_there_or_closed_is_a_matter_of_configuration(store, proxy, tmp_path):
    with pytest.raises(ConfigError, match="NoSuchBucket"):
        looks(proxy, tmp_path, bucket="no-such-bucket").look()
    proxy.spoil = lambda _method, _path: Fault(403, b"<Error><Code>AccessDenied</Code></Error>")
    with pytest.raises(ConfigError, match="AccessDenied"):
        looks(proxy, tmp_path).look()
    assert proxy.got("GET", f"/{BUCKET}") == 1


def test_an_object_that_goes_or_changes_after_it_was_listed_is_set_aside_until_the_next_look(store, proxy, tmp_path):
    put(store, lamp="A lamp.", bell="A bell.", door="A door.")

    def move_on(_method, path):
        if "lamp.md" in path:
            store.delete_object(Bucket=BUCKET, Key="docs/lamp.md")
        if "bell.md" in path:
            put(store, bell="A red bell.")

    proxy.spoil = move_on
    source = looks(proxy, tmp_path)
    found = source.look()
    assert [envelope.source_uri for envelope in found.envelopes] == ["door.md"]
    assert {rejection.item_key for rejection in found.rejections} == {"lamp.md", "bell.md"}
    proxy.spoil = lambda _method, _path: None
    assert source.changes() == {"bell.md": "fetched"}
    assert source.content("bell.md") == b"A red bell."


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault(400, b"<Error><Code>AuthorizationHeaderMalformed</Code></Error>"), "AuthorizationHeaderMalformed"),
        (Fault(400, b"<Error><Code>ExpiredToken</Code></Error>"), "ExpiredToken"),
    ],
)
def test_what_a_store_will_never_answer_is_a_matter_of_configuration(store, proxy, tmp_path, fault, told):
    proxy.spoil = lambda _method, _path: fault
    with pytest.raises(ConfigError, match=told):
        looks(proxy, tmp_path).look()
    assert len(proxy.requests) == 1


@pytest.mark.parametrize("changes", [{"bucket": "No Such Name"}, {"endpoint_url": "somewhere"}])
def test_settings_that_cannot_be_are_told_of(store, proxy, tmp_path, changes):
    with pytest.raises(ConfigError, match="cannot be listed"):
        looks(proxy, tmp_path, **changes).look()


@pytest.mark.parametrize("versioned", [False, True])
def test_any_key_can_be_downloaded(store, proxy, tmp_path, versioned):
    keys = ["#1?.md", "a b+c%20é.md"]
    for key in keys:
        store.put_object(Bucket=BUCKET, Key=f"docs/{key}", Body=key.encode())
    source = looks(proxy, tmp_path, versioned=versioned)
    assert source.changes() == dict.fromkeys(keys, "fetched")
    assert [source.content(key) for key in keys] == [key.encode() for key in keys]


def test_a_store_that_does_not_answer_is_told_of(tmp_path, store):
    source = S3Source(kind="s3", bucket=BUCKET, endpoint_url="http://127.0.0.1:9", attempts=1)
    with pytest.raises(DependencyUnavailableError, match=r"127\.0\.0\.1:9"):
        Looks(source, tmp_path).look()


def test_keys_may_be_secrets_of_the_environment(store, proxy, tmp_path, monkeypatch):
    put(store, lamp="A lamp.")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert looks(proxy, tmp_path, access_key="env:TEAM_KEY", secret_key="env:TEAM_KEY").look().new == 1
