import codecs
import io
import zipfile

import pytest

from ragstone.runtime.errors import BadInputError
from spark_jobs.sources.encoding import decode, detect_encoding
from spark_jobs.sources.mime import (
    CSV,
    DOCX,
    HTML,
    JSONL,
    MARKDOWN,
    PARQUET,
    PDF,
    PLAIN,
    RESTRUCTURED,
    check_readable,
    mime_type,
)


def zipped(name):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as parts:
        parts.writestr(name, b"<w/>")
    return made.getvalue()


ZIP_WITH_A_DOCUMENT, OTHER_ZIP = zipped("word/document.xml"), zipped("sheets/1.xml")
FRENCH = "Où est passé l'été ? Le garçon a mangé à la fenêtre, près du château, où l'on fête Noël. " * 3
RUSSIAN = "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему. " * 3  # noqa: RUF001
CHINESE = "学而时习之,不亦说乎?有朋自远方来,不亦乐乎?人不知而不愠,不亦君子乎?" * 6


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("plain ASCII", "utf-8"),
        (FRENCH, "utf-8"),
        (FRENCH, "cp1252"),
        (RUSSIAN, "cp1251"),
        (CHINESE, "gb18030"),
        (FRENCH, "utf-16-le"),
        (FRENCH, "utf-16-be"),
    ],
)
def test_text_comes_back_as_it_was_written(text, encoding):
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_decides_and_is_dropped(encoding):
    assert decode(FRENCH.encode(encoding)) == FRENCH


def test_a_page_may_declare_its_encoding():
    page = f"<html><head><meta charset=koi8-r></head><body>{RUSSIAN[:20]}</body></html>"
    assert decode(page.encode("koi8-r")) == page


def test_a_page_that_declares_latin_1_means_windows_1252():
    page = "<meta charset='iso-8859-1'><p>\u201cquoted\u201d</p>"
    assert decode(page.encode("cp1252")) == page


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "empty"),
        (b" \n\t\r\n", "empty"),
        (b"%PDF-1.7\n1 0 obj", "binary"),
        (b"PK\x03\x04rest", "binary"),
        (b"looks like text\x00but is not\x00\x00\x01", "binary"),
        (bytes(range(256)) * 20, "binary"),
        (b"text \x01\x02\x03\x04\x05\x06 text", "binary"),
        (FRENCH.encode()[:40] + b"\xff\xfe\xc3" + FRENCH.encode()[40:], "broken UTF-8"),
        ("naïveté".encode()[:-1], "broken UTF-8"),
        (b"x" * 300_000 + FRENCH.encode() + b"\xc3", "broken UTF-8"),
        (codecs.BOM_UTF8 + b"caf\xe9", "broken UTF-8-SIG"),
        (codecs.BOM_UTF16_LE + b"abc", "broken UTF-16"),
    ],
)
def test_what_is_not_text_is_refused_with_what_was_got(content, what):
    with pytest.raises(BadInputError, match=what) as refused:
        detect_encoding(content)
    assert refused.value.got
    assert refused.value.wanted


@pytest.mark.parametrize(
    ("source_uri", "content", "expected"),
    [
        ("a/b.md", b"# x", MARKDOWN),
        ("b.RST", b"x", RESTRUCTURED),
        ("b.htm", b"<p>x", HTML),
        ("b.txt", b"x <html>", PLAIN),
        ("b.txt", b"\xef\xbb\xbf\n<!DOCTYPE html><p>", HTML),
        ("LICENSE", b"x", PLAIN),
        ("rows.TSV", b"a\tb", CSV),
        ("rows.ndjson", b"{}", JSONL),
        ("notes.txt", b"%PDF-1.7\nx", PDF),
        ("notes.pdf", b"A text about %PDF-1.7", PLAIN),
        ("rows.csv", b"PAR1xPAR1", PARQUET),
        ("report.pdf", ZIP_WITH_A_DOCUMENT, DOCX),
        ("report.docx", ZIP_WITH_A_DOCUMENT[:40], PLAIN),
        ("report.txt", ZIP_WITH_A_DOCUMENT[:60], DOCX),
        ("report.docx", OTHER_ZIP, PLAIN),
    ],
)
def test_kinds_are_told_by_bytes_and_name(source_uri, content, expected):
    assert mime_type(source_uri, content) == expected


@pytest.mark.parametrize(
    ("content", "what"), [(OTHER_ZIP, "binary"), (ZIP_WITH_A_DOCUMENT[:60], "cut short"), (b"\x89PNG\r\n", "binary")]
)
def test_what_no_parser_reads_is_refused_before_it_is_landed(content, what):
    with pytest.raises(BadInputError, match=what):
        check_readable(content, mime_type("report.docx", content))


def test_packed_kinds_are_left_to_their_parsers():
    for content in (ZIP_WITH_A_DOCUMENT, b"%PDF-1.7\n\x00\xff", b"PAR1\x00PAR1"):
        check_readable(content, mime_type("a", content))
