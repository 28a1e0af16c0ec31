import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragstone.runtime.errors import BadInputError
from ragstone.text.normalise import normalise
from spark_jobs.parsers.parse import PARSERS, parse, parser_of
from spark_jobs.sources.mime import HTML, MARKDOWN, PLAIN, RESTRUCTURED, TEXT_KINDS


def parsed(source, mime_type):
    return parse(source.encode() if isinstance(source, str) else source, mime_type, "folder/my%20file.x")


def headings(document):
    return [(heading.level, heading.title) for heading in document.headings]


def test_plain_text_keeps_lines_and_is_called_by_its_file_name():
    document = parsed("First line\nsecond  line.\r\n\r\n\r\nNext.\n", PLAIN)
    assert (document.title, document.text, document.headings) == ("my file", "First line\nsecond line.\n\nNext.", ())


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("# One #\n\nA\nb.\n\nTwo\n---\nC", [(1, "One"), (2, "Two")]),
        ("Title\n=====\n\n#no heading\n\n####### nor this", [(1, "Title")]),
        ('<h1 align="center">The <b>tool</b></h1>\n\nText', [(1, "The tool")]),
        ("```\n# in code\n```\n\n## `x` and *y*", [(2, "x and y")]),
        ("- item\n---\nText", []),
        ("~~~~\n```\n# still code\n~~~~\n# Real", [(1, "Real")]),
    ],
)
def test_markdown_headings(source, wanted):
    assert headings(parsed(source, MARKDOWN)) == wanted


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("wrapped\nline", "wrapped line"),
        ("**bold**, *it*, _under_, ~~gone~~ and __init__ or a_b_c", "bold, it, under, gone and __init__ or a_b_c"),
        ("see [the `api` docs](http://x/y_(z)) and [ref][1]\n\n[1]: http://x", "see the api docs and ref"),
        ("[![badge](http://b)](http://c) ![a diagram](d.png)", "a diagram"),
        ("`a*b*c` and ``x ` y``", "a*b*c and x ` y"),
        (r"2 \* 3 \* 4 &lt; 25 &amp; x", "2 * 3 * 4 < 25 & x"),
        ("a < b and List<String> but <em>this</em><br>goes", "a < b and List<String> but this\ngoes"),
        ("- one\n  more\n- two\n    - three", "- one more\n- two\n    - three"),
        ("| a | b |\n|---|:-:|\n| 1 | 2 |", "| a | b |\n| 1 | 2 |"),
        ("> quoted\n> text", "quoted text"),
        ("```python\ndef f(*a):\n\n    return `x`\n```", "def f(*a):\n\n    return `x`"),
        ("Text:\n\n    code *here*\n      deeper", "Text:\n\ncode *here*\n  deeper"),
        ("shown <!-- hidden\nstill --> again", "shown again"),
        ("an open <!-- comment\n\nis none", "an open comment\n\nis none"),
        ("```\nnever closed", "never closed"),
    ],
)
def test_markdown_is_what_a_reader_would_quote(source, wanted):
    assert parsed(source, MARKDOWN).text == wanted


def test_front_matter_names_the_page_and_a_rule_at_the_top_is_no_front_matter():
    assert parsed('---\ntitle: "A page"\ntags:\n- x\n---\nText', MARKDOWN).title == "A page"
    assert parsed('---\ntitle: "A page"\n---\nText', MARKDOWN).text == "Text"
    assert parsed("---\nNot yaml, but text\n---\nMore", MARKDOWN).text.endswith("More")
    assert "Not yaml" in parsed("---\nNot yaml, but text\n---\nMore", MARKDOWN).text


def test_restructured_headings_take_their_level_from_the_order_of_styles():
    source = "=====\nTitle\n=====\n\nA\n-\n\nPart\n----\nText.\n\nSub\n~~~\n\nPart two\n--------\n\n=====\nAgain\n====="
    wanted = [(1, "Title"), (2, "Part"), (3, "Sub"), (2, "Part two"), (1, "Again")]
    assert headings(parsed(source, RESTRUCTURED)) == wanted


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("``a*b*c``, :class:`~x.Y`, `text <http://u>`_ and *it*", "a*b*c, x.Y, text and it"),
        ("Example::\n\n    code *here*\n\n    more\n\nText", "Example:\n\ncode *here*\n\nmore\n\nText"),
        (".. note:: Mind\n   this.\n\n   And this.", "Mind this.\n\nAnd this."),
        (".. unknown-thing::\n   :opt: 1\n\n   Words stay.", "Words stay."),
        (".. code-block:: python\n   :linenos:\n\n   x = *y\n\nText", "x = *y\n\nText"),
        (".. comment\n   goes\n\n.. image:: x.png\n   :alt: y\n\n.. _target: http://u\n\nText", "Text"),
        ("* item\n  more\n* two", "* item more\n* two"),
        ("term\n   what it\n   means", "term\nwhat it means"),
        ("+---+---+\n| a | b |\n+===+===+\n| 1 | 2 |\n+---+---+", "| a | b |\n| 1 | 2 |"),
    ],
)
def test_restructured_text_is_what_a_reader_would_quote(source, wanted):
    assert parsed(source, RESTRUCTURED).text == wanted


def test_html_keeps_headings_text_lists_tables_and_code_and_leaves_out_what_nobody_sees():
    source = """<!doctype html><html lang="de-AT"><head><title>Die &amp; Seite</title><style>p{}</style></head><body>
        <nav>Menu</nav><h1>Kopf <b>eins</b></h1><p>Ein  Absatz<br> zwei</p><script>x()</script>
        <ul><li><p>a</p></li><li>b<ul><li>c</li></ul></li></ul>
        <table><tr><th>h</th><th>i</th></tr><tr><td>1</td><td>2</td></tr></table>
        <pre>def f():\n    x</pre><div hidden>secret</div><p style="display: none">secret</p>
        <img alt="Bild"><a href="#"><img alt="badge"></a><template>secret</template>
        <h2>Zwei</h2>Rest &lt;3</body></html>"""
    document = parsed(source, HTML)
    assert document.text == (
        "Kopf eins\n\nEin Absatz\nzwei\n\n- a\n- b\n- c\n\nh | i\n1 | 2\n\ndef f():\n    x\n\nBild\n\nZwei\n\nRest <3"
    )
    assert (document.title, document.language, headings(document)) == (
        "Die & Seite",
        "de",
        [(1, "Kopf eins"), (2, "Zwei")],
    )


def test_broken_html_keeps_its_words():
    assert parsed("<p>one<div>two<p>three<b>four</i> five<", HTML).text.split() == ["one", "two", "threefour", "five<"]


# Parsed in a process of its own, whose peak is that of the bomb alone.
DEFUSE = r"""
import re, sys
from pathlib import Path
from ragstone.runtime.errors import BadInputError
from spark_jobs.parsers.parse import parse
try:
    parse((sys.argv[1] * int(sys.argv[2])).encode(), "text/html", "bomb.html")
except BadInputError as refused:
    print(refused.facts()["got"], refused.facts()["wanted"], sep=";")
    # Not ru_maxrss, which begins with what the process that forked us held.
    print(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text()).group(1))
"""


@pytest.mark.parametrize(
    ("unit", "times", "got"),
    [
        ("<div>", 9_000_000, "depth 501, 501 elements"),
        ("<b><i>", 7_000_000, "depth 501, 501 elements"),
        ("<p>x</p>", 5_000_000, "depth 3, 500001 elements"),
    ],
)
def test_an_html_bomb_of_40_megabytes_is_refused_in_bounded_memory(unit, times, got):
    defused = subprocess.run(
        [sys.executable, "-c", DEFUSE, unit, str(times)], capture_output=True, text=True, check=True
    )
    facts, peak_kib = defused.stdout.splitlines()
    assert facts == f"{got};at most depth 500 and 500000 elements"
    assert int(peak_kib) < 500 * 1024


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ("Gr\u00fc\u00dfe".encode("utf-8-sig"), "Gr\u00fc\u00dfe"),
        ("Gr\u00fc\u00dfe an alle".encode("utf-16"), "Gr\u00fc\u00dfe an alle"),
        (
            "Les \u00e9l\u00e8ves fran\u00e7ais sont tr\u00e8s occup\u00e9s cet \u00e9t\u00e9.".encode("cp1252"),
            "Les \u00e9l\u00e8ves fran\u00e7ais sont tr\u00e8s occup\u00e9s cet \u00e9t\u00e9.",
        ),
    ],
)
def test_encodings_are_told(content, wanted):
    assert parse(content, PLAIN, "a.txt").text == wanted


@pytest.mark.parametrize("mime_type", sorted(TEXT_KINDS))
@pytest.mark.parametrize(
    "content",
    [b"\x00\x01\x02\xff" * 100, b"%PDF-1.7 text", "gut \u00fc\u00e4\u00f6 und".encode() + b"\xc3 \xff", b"  \n"],
)
def test_what_is_no_text_is_refused_with_what_was_got_and_wanted(mime_type, content):
    with pytest.raises(BadInputError) as refused:
        parse(content, mime_type, "a.bin")
    assert {"got", "wanted"} <= refused.value.facts().keys()


def test_an_unknown_kind_of_text_is_read_as_plain_text():
    assert parser_of("text/x-log") is PARSERS[PLAIN]


MARKUP = st.lists(
    st.sampled_from(
        [
            "word",
            "Another",
            " ",
            "\n",
            "\n\n",
            "#",
            "*",
            "**",
            "_",
            "`",
            "```\n",
            "~~~\n",
            "[",
            "](",
            ")",
            "<",
            ">",
            "<p>",
            "</p>",
            "<li>",
            "<pre>",
            "<h2>",
            "</h2>",
            "!",
            "|",
            "---\n",
            "===\n",
            "-",
            "+",
            "::",
            ".. ",
            "note::",
            "    ",
            "\\",
            "&amp;",
            "<!--",
            "-->",
        ]
    ),
    max_size=60,
).map("".join)


@given(MARKUP, st.sampled_from([PLAIN, MARKDOWN, RESTRUCTURED, HTML]))
@settings(max_examples=300, deadline=None)
def test_whatever_the_markup_the_text_is_normalised_headings_point_into_it_and_words_stay(source, mime_type):
    document = parsed(f"start {source}", mime_type)
    assert normalise(document.text) == document.text
    for heading in document.headings:
        assert document.text.startswith(heading.title, heading.char_start)
    if mime_type == PLAIN:
        assert re.findall(r"\w+", document.text) == re.findall(r"\w+", normalise(f"start {source}"))


@pytest.mark.parametrize("mime_type", [PLAIN, MARKDOWN, RESTRUCTURED])
@pytest.mark.parametrize(
    "unit", ["[", "![", "**a ", "`", "<!--", "*", "_a", "|", "> ", "    ", "~~", "\\", ".. ", "``", ":a:`", "- "]
)
def test_repeated_markup_is_read_in_one_go(mime_type, unit):
    assert parsed("x " + unit * 20_000, mime_type).text.startswith("x")


@pytest.mark.parametrize(
    ("source", "mime_type", "kept"),
    [
        ("Text.\n\n```\na = 1\nb = 2\n```\n\nMore.", MARKDOWN, ["a = 1\nb = 2"]),
        ("| a | b |\n|---|---|\n| 1 | 2 |\n\nText | with a bar.", MARKDOWN, ["| a | b |\n| 1 | 2 |"]),
        ("Text:\n\n    x = 1\n    y = 2\n\nMore.", MARKDOWN, ["x = 1\ny = 2"]),
        ("Code::\n\n    x = 1\n    y = 2\n\nMore.", RESTRUCTURED, ["x = 1\ny = 2"]),
        ("=== ===\na   b\n=== ===\n1   2\n=== ===\n\nText.", RESTRUCTURED, ["a b\n1 2"]),
        ("<p>Text<pre>a\n  b</pre><p>More", HTML, ["a\n  b"]),
        ("<p>Text<table><tr><td>a<td>b<tr><td>1<td>2</table><p>More", HTML, ["a | b\n1 | 2"]),
    ],
)
def test_tables_and_code_keep_their_lines_and_paragraphs_do_not(source, mime_type, kept):
    document = parsed(source, mime_type)
    assert [document.text[start:end] for start, end in document.kept_lines] == kept
