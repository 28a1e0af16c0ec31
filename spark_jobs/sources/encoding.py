"""Telling text from bytes: which encoding they are in, and whether they are text at all.

Bytes are landed as they are; ingest uses this to set aside what no parser could read, parsers use it to decode.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

from charset_normalizer import from_bytes

from ragstone.runtime.errors import BadInputError

_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is a prefix of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SIGNATURES: Final = (
    (b"%PDF-", "a PDF"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"\x7fELF", "a program"),
    (b"\xd0\xcf\x11\xe0", "an old Office document"),
)
_DECLARED: Final = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_-]{2,40})", re.IGNORECASE)
_MULTIBYTE: Final = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe1-\xef][\x80-\xbf]{2}|\xe0[\xa0-\xbf][\x80-\xbf]|[\xf0-\xf4][\x80-\xbf]{3}"
)
_HIGH: Final = re.compile(rb"[\x80-\xff]")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_SAMPLE_BYTES: Final = 262_144
_MAX_CONTROL_SHARE: Final = 0.02


def decode(content: bytes) -> str:
    """Return bytes as text, without a byte order mark. Raises BadInputError as `detect_encoding` does."""
    return content.decode(detect_encoding(content))


def detect_encoding(content: bytes) -> str:
    """Return the name of the codec that decodes these bytes without an error.

    Order: byte order mark, UTF-8, what an HTML page declares, statistics. Raises BadInputError for content that is
    empty, binary, broken UTF-8 or in no encoding that can be told.
    """
    if not content.strip():
        raise BadInputError("the item is empty", got=f"{len(content)} bytes, all blank", wanted="text")
    for signature, kind in _SIGNATURES:
        if content.startswith(signature):
            raise BadInputError("the item is binary, not text", got=kind, wanted="text")
    encoding = _marked(content) or _wide(content) or _plain(content)
    _refuse_control_characters(content[:_SAMPLE_BYTES].decode(encoding, errors="ignore"))
    return encoding


def _marked(content: bytes) -> str | None:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            if not _decodes(content, encoding):
                raise _broken(encoding, content)
            return encoding
    return None


def _wide(content: bytes) -> str | None:
    """Return the codec of UTF-16 without a mark, told by the zero bytes that every second character has."""
    sample = content[:_SAMPLE_BYTES]
    if b"\x00" not in sample:
        return None
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    encoding = "utf-16-le" if odd > even else "utf-16-be"
    if min(even, odd) > 0 or max(even, odd) < len(sample) / 5 or not _decodes(content, encoding):
        raise BadInputError("the item is binary, not text", got=f"{even + odd} zero bytes", wanted="text")
    return encoding


def _plain(content: bytes) -> str:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as broken:
        # Statistics look at what lies around the first bad byte: the rest may be megabytes of plain ASCII.
        sample = content[max(0, broken.start - _SAMPLE_BYTES // 2) : broken.start + _SAMPLE_BYTES // 2]
    else:
        return "utf-8"
    if _is_broken_utf8(sample):
        raise _broken("utf-8", content)
    encoding = _declared(content) or _likely(content, sample)
    if encoding is None:
        raise BadInputError("the item is in no encoding that can be told", got="undecodable bytes", wanted="text")
    return encoding


def _is_broken_utf8(sample: bytes) -> bool:
    """Return whether bytes were meant as UTF-8: most of their non-ASCII bytes belong to whole UTF-8 characters."""
    # Text in another encoding forms such characters only by chance: a seventh of the pairs in Chinese GB 2312.
    whole = sum(len(match) for match in _MULTIBYTE.findall(sample))
    return whole > len(_HIGH.findall(sample)) / 2


def _declared(content: bytes) -> str | None:
    found = _DECLARED.search(content[:4096])
    if found is None:
        return None
    name = found.group(1).decode("ascii")
    try:
        # Pages that declare ISO 8859-1 mean Windows-1252, as browsers read them.
        encoding = "cp1252" if codecs.lookup(name).name == "iso8859-1" else codecs.lookup(name).name
    except LookupError:
        return None
    return encoding if _decodes(content, encoding) else None


def _likely(content: bytes, sample: bytes) -> str | None:
    matches = from_bytes(sample)
    best = matches.best()
    if best is None:
        return None
    # Short texts fit several codecs equally well; then the commonest one of the West is the likeliest.
    as_good = [match for match in matches if (match.chaos, match.coherence) == (best.chaos, best.coherence)]
    candidates = [encoding for match in as_good for encoding in (match.encoding, *match.could_be_from_charset)]
    preferred = ["cp1252", *candidates] if "cp1252" in candidates else candidates
    return next((encoding for encoding in preferred if _decodes(content, encoding)), None)


def _decodes(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except (UnicodeError, LookupError):
        return False
    return True


def _broken(encoding: str, content: bytes) -> BadInputError:
    try:
        content.decode(encoding)
    except UnicodeError as broken:
        return BadInputError(
            f"the item is broken {encoding.upper()}", got=str(broken), wanted=f"valid {encoding.upper()}"
        )
    raise AssertionError("only called for content that does not decode")


def _refuse_control_characters(sample: str) -> None:
    control = len(_CONTROL.findall(sample))
    if control > len(sample) * _MAX_CONTROL_SHARE:
        share = f"{control} control characters in {len(sample)}"
        raise BadInputError("the item is binary, not text", got=share, wanted="text")
