import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_jobs.sources.crawl.urls import Scope, authority, normalise_url

BASE = "http://docs.test/a/b?c"
PIECES = st.lists(
    st.sampled_from(
        ["/", "//", ".", "..", "a", "B", "%7e", "%2F", "%2e", "%", "%zz", "?", "&x=", "#", ":", "@", "ü", " "]
    )
    | st.characters(),
    max_size=12,
).map("".join)


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("HTTP://Docs.Test:80", "http://docs.test/"),
        ("https://docs.test:443/?#top", "https://docs.test/"),
        ("http://docs.test.:8080/x", "http://docs.test:8080/x"),
        ("http://docs.test/a/./b/../c", "http://docs.test/a/c"),
        ("http://docs.test/%7euser/%2fraw/%c3%bc", "http://docs.test/~user/%2Fraw/%C3%BC"),
        ("http://docs.test/ü x?q=ü", "http://docs.test/%C3%BC%20x?q=%C3%BC"),
        ("http://bücher.test/", "http://xn--bcher-kva.test/"),
        (" d\n?e=1#f ", "http://docs.test/a/d?e=1"),
        ("?e=1", "http://docs.test/a/b?e=1"),
        ("//more.test/x", "http://more.test/x"),
    ],
)
def test_a_url_has_one_way_to_be_written(written, normal):
    assert normalise_url(written, BASE) == normal


@pytest.mark.parametrize(
    "refused",
    [
        "mailto:a@b.test",
        "javascript:go()",
        "file:///etc/passwd",
        "http://user:secret@docs.test/",
        "http://docs.test:99999/",
        "http://[::1/",
        "http://docs.test/" + "x" * 2_000,
    ],
)
def test_what_names_no_page_of_the_web_is_refused(refused):
    assert normalise_url(refused, BASE) is None


@given(st.sampled_from(["", "http:", "http://", "https://docs.test/", "HTTP://docs.test:80", "/", "?"]), PIECES)
def test_normalising_twice_changes_nothing(start, rest):
    once = normalise_url(start + rest, BASE)
    if once is not None:
        assert normalise_url(once) == once
        assert "#" not in once
        assert authority(once)


@pytest.mark.parametrize(
    ("path", "taken"),
    [
        ("", False),
        ("guide/", True),
        ("guide", False),
        ("guide/x", True),
        ("guide/x/y.html?z", True),
        ("guide/old/x", False),
    ],
)
def test_patterns_see_paths_and_folders_as_their_index(path, taken):
    scope = Scope(["docs.test"], ["guide/**"], ["guide/old/**"])
    assert scope.takes(f"http://docs.test/{path}") == taken
    assert not scope.takes(f"http://else.test/{path}")
