"""The URLs that a crawl has still to ask for, nearest first, each once."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Final

_MAX_WAITING: Final = 50_000
_MAX_HOPS: Final = 10


@dataclass(frozen=True)
class Visit:
    """A URL to ask for. `depth` counts links from a start page; `via` has the URLs that gave way to this one.

    `is_start` says that without this page the source is not as configured.
    """

    url: str
    depth: int = 0
    is_start: bool = False
    via: tuple[str, ...] = ()

    def to(self, url: str) -> Visit | None:
        """Return the visit that takes this one's place; None for a circle, or after ten such steps."""
        if url in (self.url, *self.via) or len(self.via) >= _MAX_HOPS:
            return None
        return replace(self, url=url, via=(*self.via, self.url))


class Frontier:
    """A queue of visits that takes each URL once and gives out at most `max_visits`."""

    def __init__(self, max_visits: int) -> None:
        self.is_cut = False
        self._left = max_visits
        self._waiting: deque[Visit] = deque()
        self._seen: set[str] = set()

    def add(self, visit: Visit, *, first: bool = False) -> bool:
        """Queue a visit, behind all others or `first`. Return whether its URL is new here."""
        if visit.url in self._seen:
            return False
        if len(self._waiting) >= _MAX_WAITING:
            self.is_cut = True
            return False
        self._seen.add(visit.url)
        (self._waiting.appendleft if first else self._waiting.append)(visit)
        return True

    def next(self) -> Visit | None:
        """Return the next visit, or None when there is none or no more may be made; `is_cut` tells which."""
        if self._waiting and self._left:
            self._left -= 1
            return self._waiting.popleft()
        self.is_cut |= bool(self._waiting)
        return None

    def saw(self, url: str) -> bool:
        """Return whether a URL was queued at any time."""
        return url in self._seen

    def waiting(self) -> list[str]:
        """Return the URLs that are still queued."""
        return [visit.url for visit in self._waiting]
