import pytest

from spark_jobs.sources.globs import Globs


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("**/*.md", "a.md", True),
        ("**/*.md", "a/b/c.md", True),
        ("**/*.md", "a/b/c.MD", False),
        ("**/*.md", "a/b/c.md.bak", False),
        ("*.md", "a/b.md", False),
        ("docs/**", "docs/a/b.txt", True),
        ("docs/**", "docs/a.txt", True),
        ("docs/**", "other/a.txt", False),
        ("./a?.md", "ab.md", True),
        ("a?.md", "a/.md", False),
        ("[!a]*.md", "b.md", True),
        ("[!a]*.md", "a.md", False),
        ("[a-c].md", "b.md", True),
        ("a+(b).md", "a+(b).md", True),
        ("a[.md", "a[.md", True),
        ("**/*.md", ".git/a.md", False),
        ("**/*.md", "a/.hidden.md", False),
        (".github/**", ".github/a.md", True),
        ("a/**/b.md", "a/b.md", True),
        ("a/**/b.md", "a/x/y/b.md", True),
    ],
)
def test_patterns_mean_what_a_shell_means(pattern, path, expected):
    assert Globs([pattern]).match(path) is expected


def test_any_of_several_patterns_is_enough():
    globs = Globs(["*.md", "*.txt"])
    assert globs.match("a.txt")
    assert not globs.match("a.rst")
    assert not Globs([]).match("a.rst")
