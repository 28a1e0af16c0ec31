import io
import os
import shutil
import stat

import docx
import psutil
import pytest
from PIL import Image

from ragstone.runtime.errors import BadInputError
from ragstone.runtime.settings import ParsingSettings
from spark_jobs.parsers import pdf as pdf_reader
from spark_jobs.parsers import sandbox
from spark_jobs.parsers.parse import parse
from spark_jobs.sources.mime import DOCX, PDF, mime_type
from tests.spark_jobs.parsers import made_documents as made

LIMITS = ParsingSettings(max_seconds=30, max_memory_mb=600, max_unpacked_bytes=20_000_000)


def text_of(content, kind=PDF):
    return parse(content, kind, "folder/some%20file.bin", LIMITS).text


def test_a_pdf_is_read_as_its_paragraphs_without_what_repeats_on_each_page():
    pages = [[made.sentence(page), made.sentence(page + 100)] for page in range(5)]
    document = parse(made.pdf(pages, "The rules", header="Harbour rules 2026", numbered=True), PDF, "a.pdf", LIMITS)
    assert document.title == "The rules"
    assert document.text.split("\n\n") == [text for page in pages for text in page]


def test_a_paragraph_that_runs_over_the_end_of_a_page_is_one():
    long = " ".join(made.sentence(number) for number in range(60))
    assert text_of(made.pdf([[long]])) == long


def test_words_that_were_hyphenated_at_the_end_of_a_line_are_one_again():
    lines = ["A paragraph about the light-", "house and the North-", "South line that goes on."]
    wanted = "A paragraph about the lighthouse and the North-South line that goes on."
    assert [block.text for block in pdf_reader._blocks([lines])] == [wanted]


def test_lines_that_the_outline_of_a_pdf_names_are_headings():
    sections = [(0, "1. Lamps", made.sentence(1)), (1, "1.1 Oil", made.sentence(2)), (0, "2. Bells", made.sentence(3))]
    document = parse(made.manual(sections, "Microsoft Word - lamps"), PDF, "a.pdf", LIMITS)
    assert [(heading.level, heading.title) for heading in document.headings] == [
        (1, "1. Lamps"),
        (2, "1.1 Oil"),
        (1, "2. Bells"),
    ]
    assert document.title == "1. Lamps"
    assert document.text.split("\n\n")[3] == made.sentence(2)


def test_letters_that_were_drawn_as_one_are_letters_again():
    assert "\ufb01".translate(pdf_reader._LIGATURES) == "fi"


def test_a_bare_table_keeps_its_rows():
    rows = [("Berth", "Ship", "Length"), ("1", "Heron", "40 m"), ("2", "Gull", "12 m")]
    document = parse(made.pdf_of_a_table(rows), PDF, "a.pdf", LIMITS)
    assert document.text == "\n".join(" | ".join(row) for row in rows)
    assert document.kept_lines == ((0, len(document.text)),)


def test_mixed_languages_are_read_and_the_commonest_is_told():
    german = "Die Laterne am Hafen brennt mit Rapsoel und wird jeden Abend von dem Waerter angezuendet."
    document = parse(made.pdf([[german, german.replace("Abend", "Morgen")], ["The lamp is red."]]), PDF, "a", LIMITS)
    assert document.language == "de"
    assert "The lamp is red." in document.text


@pytest.mark.full
def test_a_manual_of_a_thousand_pages_is_read_whole():
    pages = [[made.sentence(15 * page + at) for at in range(15)] for page in range(1_000)]
    text = text_of(made.pdf(pages, header="Manual", numbered=True))
    assert text.count("Rule ") == 15_000
    assert "Manual" not in text


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (made.scanned_pdf(3), "no text layer"),
        (made.encrypted_pdf("unknown"), "encrypted"),
        (b"%PDF-1.7\n" + b"junk " * 1_000, "cannot be read"),
        (made.pdf([[made.sentence(1)]])[:400], "cannot be read"),
        (b"%PDF-1.4", "cannot be read"),
    ],
)
def test_a_pdf_without_text_that_can_be_read_says_why(content, told):
    with pytest.raises(BadInputError) as refused:
        text_of(content)
    assert told in str(refused.value)


BROKEN = "\ue001\ue002 \ufffd/g12/g13 (cid:5)"


@pytest.mark.parametrize(("page", "readable"), [(BROKEN, False), ("Plain text. " * 50 + BROKEN, True), ("", False)])
def test_a_text_layer_of_glyphs_without_a_meaning_is_told_from_text(page, readable):
    assert pdf_reader._is_readable([page]) is readable


def test_what_pypdf_cannot_read_pdftotext_may(tmp_path, monkeypatch):
    program = tmp_path / "pdftotext"
    program.write_text('#!/bin/sh\nprintf "The lamp\\nis red.\\fSecond page."\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert shutil.which("pdftotext") == str(program)
    page = pdf_reader.read_pdf(b"%PDF-1.4 broken")
    assert [block.text for block in page.blocks] == ["The lamp is red.", "Second page."]


def test_a_word_document_keeps_headings_lists_and_rows():
    content = made.word(
        [("Lamps", ["The lamp is red."]), ("Bells", ["The bell is old."])], [("Berth", "Ship"), ("1", "Gull")]
    )
    assert mime_type("anything.bin", content) == DOCX
    document = parse(content, DOCX, "a.docx", LIMITS)
    assert [heading.title for heading in document.headings] == ["Lamps", "Bells"]
    assert document.text == "Lamps\n\nThe lamp is red.\n\nBells\n\nThe bell is old.\n\nBerth | Ship\n1 | Gull"


def test_a_word_document_is_called_by_its_title_and_pictures_leave_no_bytes():
    drawn = docx.Document()
    drawn.add_heading("Harbour handbook", 0)
    drawn.add_heading("Lamps", 1)
    drawn.add_paragraph("Fill the tank.", style="List Bullet")
    picture = io.BytesIO()
    Image.effect_noise((200, 200), 50).save(picture, "PNG")
    drawn.add_picture(picture)
    saved = io.BytesIO()
    drawn.save(saved)
    document = parse(saved.getvalue(), DOCX, "a.docx", LIMITS)
    assert document.title == "Harbour handbook"
    assert document.text == "Harbour handbook\n\nLamps\n\n- Fill the tank."


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (made.with_part(made.word([("A", ["B"])]), "word/media/bomb.bin", b"\0" * 30_000_000), "unpacks to too much"),
        (
            made.with_part(
                made.word([("A", ["B"])]),
                "word/document.xml",
                b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><l>&b;</l>',
            ),
            "declares entities",
        ),
        (
            made.with_part(
                made.word([("A", ["B"])]),
                "word/document.xml",
                f"<!--{'x' * 9_000}--><!DOCTYPE l [<!ENTITY a 'b'>]><l>&a;</l>".encode("utf-16"),
            ),
            "declares entities",
        ),
        (made.word([("A", ["B"])])[:900], "cannot be read"),
        (made.with_part(made.word([("A", ["B"])]), "word/document.xml", b"<broken"), "cannot be read"),
    ],
)
def test_a_word_document_that_is_a_trap_is_refused(content, told):
    with pytest.raises(BadInputError) as refused:
        text_of(content, DOCX)
    assert told in str(refused.value)


class TestTheSandbox:
    def test_one_process_reads_many_documents(self):
        text_of(made.pdf([["One."]]))
        first = sandbox._children[LIMITS.max_memory_mb].process.pid
        text_of(made.word([("A", ["Two."])]), DOCX)
        assert sandbox._children[LIMITS.max_memory_mb].process.pid == first

    def test_a_document_that_takes_too_long_is_given_up_and_the_next_is_read(self):
        pages = [[made.sentence(at) for at in range(20)] for _ in range(60)]
        short = LIMITS.model_copy(update={"max_seconds": 0.05})
        with pytest.raises(BadInputError, match=r"parsing\.max_seconds"):
            parse(made.pdf(pages), PDF, "a.pdf", short)
        assert text_of(made.pdf([["Next."]])) == "Next."

    def test_a_document_that_takes_too_much_memory_is_refused_and_the_next_is_read(self):
        small = LIMITS.model_copy(update={"max_memory_mb": 256})
        content = made.with_part(made.word([("A", ["B"])]), "word/document.xml", document_of(150_000))
        with pytest.raises(BadInputError, match=r"parsing\.max_memory_mb"):
            parse(content, DOCX, "a.docx", small.model_copy(update={"max_unpacked_bytes": 500_000_000}))
        assert parse(made.pdf([["x"]]), PDF, "a.pdf", small).text == "x"

    def test_a_program_that_the_process_has_started_ends_with_it(self, tmp_path, monkeypatch):
        program, told = tmp_path / "pdftotext", tmp_path / "pid"
        program.write_text(f"#!/bin/sh\necho $$ > {told}\nexec sleep 600\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        waiting = LIMITS.model_copy(update={"max_memory_mb": 602, "max_seconds": 10.0})
        with pytest.raises(BadInputError, match=r"parsing\.max_seconds"):
            parse(b"%PDF-1.4 broken", PDF, "a.pdf", waiting)
        psutil.wait_procs([one for one in psutil.process_iter() if one.pid == int(told.read_text())], timeout=10)
        assert not psutil.pid_exists(int(told.read_text())) or (
            psutil.Process(int(told.read_text())).status() == psutil.STATUS_ZOMBIE
        )

    def test_no_process_is_left_when_one_is_given_up(self):
        before = {child.pid for child in psutil.Process().children()}
        with pytest.raises(BadInputError):
            parse(
                made.pdf([["x"]]), PDF, "a.pdf", LIMITS.model_copy(update={"max_seconds": 1e-6, "max_memory_mb": 601})
            )
        assert {child.pid for child in psutil.Process().children()} <= before


def document_of(paragraphs):
    name = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    body = "<w:p><w:r><w:t>word</w:t></w:r></w:p>" * paragraphs
    return f'<w:document xmlns:w="{name}"><w:body>{body}</w:body></w:document>'.encode()
