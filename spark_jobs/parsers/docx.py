"""Word documents: made into HTML by mammoth, which keeps headings, lists and tables, and read as that."""

from __future__ import annotations

import io
import zipfile
from typing import Final
from xml.parsers.expat import ExpatError

import mammoth

from ragstone.runtime.errors import BadInputError
from spark_jobs.parsers.document import Page
from spark_jobs.parsers.html import read_html

_PART: Final = "word/document.xml"
_DECLARATION: Final = b"<!DOCTYPE"


def read_docx(content: bytes, max_unpacked_bytes: int) -> Page:
    """Return a page of a Word document.

    Raises BadInputError for a file that is no Word document, unpacks to more than allowed, or declares entities, which
    no word processor does.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_size(archive, max_unpacked_bytes)
            _check_declarations(archive)
        html: str = mammoth.convert_to_html(io.BytesIO(content)).value
    except BadInputError:
        raise
    except (zipfile.BadZipFile, ExpatError, ValueError, OSError, LookupError, AttributeError) as broken:
        got = f"{type(broken).__name__}: {broken}"
        raise BadInputError("the Word document cannot be read", got=got, wanted="a whole .docx file") from broken
    return read_html(f"<html><body>{html}</body></html>")


def _check_size(archive: zipfile.ZipFile, most: int) -> None:
    unpacked = sum(part.file_size for part in archive.infolist())
    if unpacked > most:
        raise BadInputError(
            "the Word document unpacks to too much",
            got=f"{unpacked} bytes",
            wanted=f"at most {most} (parsing.max_unpacked_bytes)",
        )


def _check_declarations(archive: zipfile.ZipFile) -> None:
    for name in archive.namelist():
        if name.endswith((".xml", ".rels")) and _DECLARATION in archive.read(name)[:4_096].upper():
            raise BadInputError("the Word document declares entities", got=name, wanted="plain parts")
