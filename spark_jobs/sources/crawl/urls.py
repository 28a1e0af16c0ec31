"""One way to write each URL, and which URLs a crawl may ask for and take."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

import httpx2

from spark_jobs.sources.globs import Globs

_SCHEMES: Final = ("http", "https")
_MAX_URL_CHARS: Final = 2_000
_BREAKS: Final = re.compile(r"[\t\r\n]")
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_SCHEME: Final = re.compile(r"\A[A-Za-z][A-Za-z0-9+.-]*(?=:)")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_INDEX: Final = "index.html"


def normalise_url(text: str, base: str | None = None) -> str | None:
    """Return a URL as a crawl writes it, or None for what names no page of the web.

    Scheme and host in lower case (hosts in punycode), no default port, no fragment, no empty query, no dot segments,
    no escapes that need not be. A text without a host is taken relative to `base`. Other schemes than http and https,
    user names and URLs of more than 2,000 characters are refused.
    """
    try:
        joined = urljoin(base or "", _BREAKS.sub("", text).strip())
        url = httpx2.URL(_SCHEME.sub(lambda found: found.group().lower(), _ESCAPE.sub(_plain_escape, joined)))
        url = url.copy_with(fragment=None, host=url.host.rstrip("."))
    except (httpx2.InvalidURL, ValueError):
        return None
    if url.scheme not in _SCHEMES or not url.host or url.userinfo or not 0 < (url.port or 1) < 65_536:
        return None
    parts = urlsplit(str(url))
    written = urlunsplit(parts._replace(path=parts.path or "/"))
    return written if len(written) <= _MAX_URL_CHARS else None


def authority(url: str) -> str:
    """Return the host of a normalised URL, with its port unless that is the scheme's own."""
    return httpx2.URL(url).netloc.decode("ascii")


def origin(url: str) -> str:
    """Return scheme, host and port of a normalised URL: what one robots.txt speaks for."""
    return f"{httpx2.URL(url).scheme}://{authority(url)}"


class Scope:
    """The limits of a crawl: the hosts it may ask, and patterns on the paths of the pages it takes."""

    def __init__(self, hosts: Iterable[str], include: Iterable[str], exclude: Iterable[str]) -> None:
        self._hosts = frozenset(host.lower() for host in hosts)
        self._include = Globs(include)
        self._exclude = Globs(exclude)

    def allows(self, url: str) -> bool:
        """Return whether a normalised URL is on a host that may be asked."""
        return authority(url) in self._hosts

    def takes(self, url: str) -> bool:
        """Return whether a normalised URL is on such a host and its path is wanted.

        Patterns see the path without its first slash, unescaped; a folder counts as its `index.html`.
        """
        path = unquote(httpx2.URL(url).path).removeprefix("/")
        path = path + _INDEX if not path or path.endswith("/") else path
        return self.allows(url) and self._include.match(path) and not self._exclude.match(path)


def _plain_escape(found: re.Match[str]) -> str:
    character = chr(int(found.group(1), 16))
    return character if character in _UNRESERVED else found.group().upper()
