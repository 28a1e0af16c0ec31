"""Documents in formats that no text editor writes, made on the spot."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence

import docx
from fpdf import FPDF

_SAYING = "The harbour lamp burns rapeseed oil from dusk until the morning ferry has left the quay for Skarvik"
WORDS = _SAYING.split()


def sentence(number: int) -> str:
    """Return one of many sentences that tell themselves apart."""
    return f"Rule {number} says that {' '.join(WORDS[number % 5 :])}."


def pdf(pages: Sequence[Sequence[str]], title: str | None = None, header: str = "", numbered: bool = False) -> bytes:
    """Return a PDF with these paragraphs on each page."""
    made = FPDF()
    made.set_auto_page_break(True, margin=10)
    made.set_font("Helvetica", size=11)
    if title:
        made.set_title(title)
    for number, paragraphs in enumerate(pages, start=1):
        made.add_page()
        if header:
            made.cell(0, 8, header, new_x="LMARGIN", new_y="NEXT")
        for paragraph in paragraphs:
            made.multi_cell(0, 6, paragraph, new_x="LMARGIN", new_y="NEXT")
            made.ln(4)
        if numbered:
            made.set_y(-20)
            made.cell(0, 8, f"Page {number} of {len(pages)}", align="C")
    return bytes(made.output())


def manual(sections: Sequence[tuple[int, str, str]], title: str | None = None) -> bytes:
    """Return a PDF of headings, each with its level from 0 and a paragraph, that its outline names."""
    made = FPDF()
    if title:
        made.set_title(title)
    made.add_page()
    for level, heading, paragraph in sections:
        made.set_font("Helvetica", style="B", size=16)
        made.start_section(heading, level=level)
        made.cell(0, 12, heading, new_x="LMARGIN", new_y="NEXT")
        made.set_font("Helvetica", size=11)
        made.multi_cell(0, 6, paragraph, new_x="LMARGIN", new_y="NEXT")
        made.ln(4)
    return bytes(made.output())


def pdf_of_a_table(rows: Sequence[Sequence[str]]) -> bytes:
    """Return a PDF with one bare table."""
    made = FPDF()
    made.set_font("Helvetica", size=10)
    made.add_page()
    with made.table() as table:
        for cells in rows:
            row = table.row()
            for cell in cells:
                row.cell(cell)
    return bytes(made.output())


def scanned_pdf(pages: int) -> bytes:
    """Return a PDF whose pages are pictures."""
    made = FPDF()
    for _ in range(pages):
        made.add_page()
        made.rect(20, 20, 100, 100, style="F")
    return bytes(made.output())


def encrypted_pdf(password: str) -> bytes:
    """Return a PDF that asks for a password."""
    made = FPDF()
    made.set_encryption(owner_password="owner", user_password=password)
    made.set_font("Helvetica", size=11)
    made.add_page()
    made.cell(text="secret")
    return bytes(made.output())


def word(headings: Sequence[tuple[str, Sequence[str]]], table: Sequence[Sequence[str]] = ()) -> bytes:
    """Return a Word document of headings with their paragraphs, and a table at the end."""
    made = docx.Document()
    for heading, paragraphs in headings:
        made.add_heading(heading, level=1)
        for paragraph in paragraphs:
            made.add_paragraph(paragraph)
    if table:
        drawn = made.add_table(rows=0, cols=len(table[0]))
        for cells in table:
            for cell, text in zip(drawn.add_row().cells, cells, strict=True):
                cell.text = text
    saved = io.BytesIO()
    made.save(saved)
    return saved.getvalue()


def with_part(content: bytes, name: str, part: bytes) -> bytes:
    """Return a Word document with one part replaced, or put in."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for known in old.namelist():
            if known != name:
                new.writestr(known, old.read(known))
        new.writestr(name, part)
    return made.getvalue()
