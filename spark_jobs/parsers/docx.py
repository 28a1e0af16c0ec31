"""Word documents: made into HTML by mammoth, which keeps headings, lists and tables, and read as that."""

from __future__ import annotations

import io
import zipfile
from typing import IO
from xml.parsers.expat import ExpatError, ParserCreate

import mammoth

from ragstone.runtime.errors import BadInputError
from spark_jobs.parsers.document import Page
from spark_jobs.parsers.html import read_html

# Without this a document's title is a paragraph like any other.
_STYLES = "p[style-name='Title'] => h1:fresh"
_READ_BYTES = 65_536
# Of a picture its description is kept; by default its bytes would come with it.
_WORDS = mammoth.images.img_element(lambda _image: {})


def read_docx(content: bytes, max_unpacked_bytes: int) -> Page:
    """Return a page of a Word document.

    Raises BadInputError for a file that is no Word document, unpacks to more than allowed, or declares entities, which
    no word processor does.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_size(archive, max_unpacked_bytes)
            _check_declarations(archive)
        html: str = mammoth.convert_to_html(io.BytesIO(content), style_map=_STYLES, convert_image=_WORDS).value
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
        with archive.open(name) as part:
            if _declares(part):
                raise BadInputError("the Word document declares entities", got=name, wanted="plain parts")


def _declares(part: IO[bytes]) -> bool:
    """Return whether a part begins with a declaration, in whatever encoding; one that is no XML does not."""
    found: list[str] = []
    parser = ParserCreate()
    parser.StartDoctypeDeclHandler = lambda *_: _stop(found, "declaration")
    parser.StartElementHandler = lambda *_: _stop(found, "element")
    try:
        while piece := part.read(_READ_BYTES):
            parser.Parse(piece)
    except (ExpatError, StopIteration):
        return found == ["declaration"]
    return False


def _stop(found: list[str], what: str) -> None:
    """Note what came first; the exception ends the parser's run."""
    found.append(what)
    raise StopIteration
