"""Unpacking gzip without trusting it: output is counted while it is made."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Final

from ragstone.runtime.errors import BadInputError, TooLargeError

GZIP_START: Final = b"\x1f\x8b"
_GZIP: Final = 16 + zlib.MAX_WBITS


def gunzip(packed: Iterable[bytes], max_bytes: int) -> bytes:
    """Return what gzipped bytes hold.

    Raises TooLargeError past `max_bytes` and BadInputError for what is no gzip, or not a whole one.
    """
    unpacked, member, begun = bytearray(), zlib.decompressobj(_GZIP), False
    try:
        for chunk in packed:
            while chunk:
                if member.eof:
                    member = zlib.decompressobj(_GZIP)
                unpacked += member.decompress(chunk, max_bytes + 1 - len(unpacked))
                check_size(len(unpacked), max_bytes)
                chunk, begun = member.unconsumed_tail or member.unused_data, True
    except zlib.error as broken:
        raise BadInputError("the answer is not readable as gzip", got=broken, wanted="gzip") from broken
    if begun and not member.eof:
        raise BadInputError("the answer breaks off", got=f"{len(unpacked)} bytes", wanted="a whole gzip")
    return bytes(unpacked)


def check_size(size: int, max_bytes: int) -> None:
    """Raise TooLargeError for more bytes than `max_bytes`."""
    if size > max_bytes:
        raise TooLargeError(
            "the page is too large", got=f"{size} bytes or more", wanted=f"at most {max_bytes} (ingest.max_item_bytes)"
        )
