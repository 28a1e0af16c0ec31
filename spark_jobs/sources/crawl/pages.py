"""What a page says to a crawler: its links, its canonical URL, and whether it wants to be indexed and followed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx2
from lxml import etree

from ragstone.runtime.errors import BadInputError
from spark_jobs.sources.crawl.urls import normalise_url
from spark_jobs.sources.encoding import decode

_MAX_LINKS: Final = 10_000
_FEED_BYTES: Final = 65_536
_LINKING: Final = {"a": "href", "area": "href", "frame": "src"}


@dataclass
class Directives:
    """What a page asks of those who index it."""

    noindex: bool = False
    nofollow: bool = False

    def take(self, words: str) -> None:
        """Add a list of directives, such as `noindex, nofollow`."""
        told = {word.strip().lower() for word in words.split(",")}
        self.noindex |= not told.isdisjoint(("noindex", "none"))
        self.nofollow |= not told.isdisjoint(("nofollow", "none"))


@dataclass
class PageFacts:
    """What a page says. `links` are normalised URLs, each once, in order, without those it asks not to follow."""

    links: list[str] = field(default_factory=list)
    canonical: str | None = None
    directives: Directives = field(default_factory=Directives)


def read_facts(content: bytes, url: str, user_agent: str) -> PageFacts:
    """Return what the HTML of a page says to a crawler of this name. Raises BadInputError for what is no text."""
    # The parser keeps no tree, so neither depth nor size of a page costs more than its bytes.
    reader = _Reader(user_agent)
    parser = etree.HTMLParser(target=reader, huge_tree=True, encoding="utf-8")
    text = decode(content).encode("utf-8", "replace")
    try:
        for start in range(0, len(text), _FEED_BYTES):
            parser.feed(text[start : start + _FEED_BYTES])
        parser.close()
    except etree.LxmlError as broken:
        raise BadInputError("the page is not readable as HTML", got=broken, wanted="HTML") from broken
    return reader.facts(url)


def header_directives(headers: httpx2.Headers, user_agent: str) -> Directives:
    """Return what X-Robots-Tag says; a line may begin with the name of the crawler it is for."""
    directives = Directives()
    for line in headers.get_list("X-Robots-Tag"):
        name, colon, words = line.partition(":")
        # `unavailable_after: date` is the one directive that has a colon of its own.
        if not colon or "," in name or name.strip().lower() == "unavailable_after":
            directives.take(line)
        elif name.strip().lower() == _product(user_agent):
            directives.take(words)
    return directives


class _Reader:
    """The target of lxml's parser: it is told of each tag in turn."""

    def __init__(self, user_agent: str) -> None:
        self._named = ("robots", _product(user_agent))
        self._base: str | None = None
        self._canonical: str | None = None
        self._links: list[str] = []
        self._directives = Directives()

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag in _LINKING:
            self._link(attributes.get(_LINKING[tag]), attributes.get("rel", ""))
        elif tag == "base":
            self._base = self._base or attributes.get("href")
        elif tag == "link" and "canonical" in attributes.get("rel", "").lower().split():
            self._canonical = self._canonical or attributes.get("href")
        elif tag == "meta" and attributes.get("name", "").strip().lower() in self._named:
            self._directives.take(attributes.get("content", ""))

    def end(self, tag: str) -> None:
        """Nothing: only what opens tags counts."""

    def data(self, text: str) -> None:
        """Nothing: text is for the parser of documents."""

    def close(self) -> None:
        """Nothing is left open."""

    def facts(self, url: str) -> PageFacts:
        base = (normalise_url(self._base, url) if self._base else None) or url
        canonical = normalise_url(self._canonical, base) if self._canonical else None
        links = [] if self._directives.nofollow else _each_once(normalise_url(link, base) for link in self._links)
        return PageFacts(links, canonical, self._directives)

    def _link(self, target: str | None, rel: str) -> None:
        if target and "nofollow" not in rel.lower().split() and len(self._links) < _MAX_LINKS:
            self._links.append(target)


def _each_once(urls: Iterable[str | None]) -> list[str]:
    return [url for url in dict.fromkeys(urls) if url is not None]


def _product(user_agent: str) -> str:
    """Return the name of a crawler, without version and remarks, in lower case."""
    return user_agent.partition("/")[0].strip().lower()
