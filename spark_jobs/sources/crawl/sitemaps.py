"""Sitemaps: XML with the pages of a site, or an index of further sitemaps, or one URL a line; each may be gzipped."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from ragstone.runtime.errors import BadInputError
from spark_jobs.sources.crawl.unpacking import GZIP_START, gunzip
from spark_jobs.sources.crawl.urls import normalise_url

_MAX_URLS: Final = 50_000


@dataclass
class Sitemap:
    """What one sitemap names, as normalised URLs: pages, and further sitemaps. `is_whole` is false past 50,000."""

    pages: list[str] = field(default_factory=list)
    sitemaps: list[str] = field(default_factory=list)
    is_whole: bool = True


def read_sitemap(content: bytes, url: str, max_bytes: int) -> Sitemap:
    """Return what a sitemap names. Raises BadInputError for what is none, TooLargeError when it unpacks to too much."""
    if content.startswith(GZIP_START):
        content = gunzip([content], max_bytes)
    sitemap = Sitemap()
    is_xml = content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
    for kind, told in _locations(content) if is_xml else _lines(content):
        if len(sitemap.pages) + len(sitemap.sitemaps) >= _MAX_URLS:
            sitemap.is_whole = False
            break
        # Taken as absolute, as the protocol wants them, but a relative one does no harm.
        if named := normalise_url(told, url):
            (sitemap.sitemaps if kind == "sitemap" else sitemap.pages).append(named)
    return sitemap


def _locations(content: bytes) -> Iterator[tuple[str, str]]:
    """Yield what each `loc` is in, `url` or `sitemap`, and its text. Entities are not resolved, nothing is loaded."""
    try:
        parsed = etree.iterparse(
            io.BytesIO(content), tag="{*}loc", resolve_entities=False, no_network=True, load_dtd=False
        )
        for _, found in parsed:
            parent, told = found.getparent(), (found.text or "").strip()
            if told and parent is not None and etree.QName(parent).localname in ("url", "sitemap"):
                yield etree.QName(parent).localname, told
                # What was read is let go: the tree of a whole sitemap takes many times its bytes.
                while parent.getprevious() is not None:
                    del parent.getparent()[0]
    except etree.XMLSyntaxError as broken:
        raise BadInputError("a sitemap is not readable", got=broken, wanted="a sitemap in XML") from broken


def _lines(content: bytes) -> Iterator[tuple[str, str]]:
    for line in content.decode("utf-8-sig", errors="replace").splitlines():
        if line.strip().startswith(("http://", "https://")):
            yield "url", line
