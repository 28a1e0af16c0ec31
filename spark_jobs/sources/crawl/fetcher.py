"""One request of a crawl: paced for each host, tried again where that may help, its body bounded in bytes and time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import httpcore2
import httpx2
import stamina

from ragstone.runtime.errors import BadInputError
from ragstone.runtime.source_settings import CrawlSource
from spark_jobs.sources.crawl.answers import Answer
from spark_jobs.sources.crawl.network import PinnedNetwork, RefusedAddressError
from spark_jobs.sources.crawl.unpacking import check_size, gunzip
from spark_jobs.sources.crawl.urls import authority
from spark_jobs.sources.http_conditions import seconds_to_wait

_TRY_AGAIN: Final = (429, 500, 502, 503, 504)
_OUTAGES: Final = (
    httpcore2.NetworkError,
    httpcore2.TimeoutException,
    httpcore2.RemoteProtocolError,
)
_MAX_REDIRECTS: Final = 5
_LONGEST_WAIT_S: Final = 120.0
_PACKED: Final = ("gzip", "x-gzip")


class NoAnswerError(Exception):
    """A page cannot be had: its host does not answer now, may not be connected to, or answers what cannot be read.

    `is_outage` says that it may be had later.
    """

    def __init__(self, got: object, wanted: str, *, is_outage: bool) -> None:
        super().__init__(str(got))
        self.got = got
        self.wanted = wanted
        self.is_outage = is_outage


class _TryAgainError(Exception):
    """An answer that may be another one later."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"status {answer.status}")
        self.retry_after = answer.headers.get("Retry-After")


class Fetcher:
    """Asks for pages, one at a time. `delays` has the seconds between two requests that a host asks for itself."""

    def __init__(
        self,
        source: CrawlSource,
        max_bytes: int,
        network: PinnedNetwork,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.delays: dict[str, float] = {}
        self._source = source
        self._max_bytes = max_bytes
        self._network = network
        self._sleep = sleep
        self._free_at: dict[str, float] = {}
        self._pool = httpcore2.ConnectionPool(ssl_context=httpx2.create_ssl_context(), network_backend=network)

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    def get(
        self,
        url: str,
        conditions: Mapping[str, str] | None = None,
        is_wanted: Callable[[Answer], bool] = lambda _answer: True,
    ) -> Answer:
        """Return what a normalised URL answers; redirects are not followed.

        The body is read only of a success that `is_wanted` says yes to, told by its headers. Raises NoAnswerError, and
        TooLargeError past the size that is taken in.
        """
        try:
            for attempt in stamina.retry_context(
                on=_back_off, attempts=self._source.attempts, timeout=None, wait_max=_LONGEST_WAIT_S
            ):
                with attempt:
                    return self._ask(url, conditions or {}, is_wanted)
        except (_TryAgainError, *_OUTAGES) as broken:
            got = f"{type(broken).__name__} {broken}" if isinstance(broken, _OUTAGES) else broken
            wanted = f"an answer within {self._source.timeout_s:g} s (timeout_s)"
            raise NoAnswerError(got, wanted, is_outage=True) from broken
        except RefusedAddressError as refused:
            raise NoAnswerError(refused, "a public address (allow_private)", is_outage=False) from refused
        except (httpcore2.ProtocolError, httpcore2.UnsupportedProtocol) as broken:
            raise NoAnswerError(broken, "an answer in HTTP", is_outage=False) from broken
        raise AssertionError("an attempt returns or raises")

    def follow(self, url: str, allows: Callable[[str], bool]) -> Answer:
        """Return what a URL answers after at most five redirects, as robots.txt and sitemaps are asked for.

        Raises NoAnswerError also for a redirect to where it may not be followed.
        """
        for _ in range(_MAX_REDIRECTS + 1):
            answer = self.get(url)
            if not answer.is_redirect:
                return answer
            if answer.redirect is None or not allows(answer.redirect):
                target = answer.redirect or answer.headers.get("Location")
                raise NoAnswerError(f"a redirect to {target}", "a redirect to one of hosts", is_outage=False)
            url = answer.redirect
        raise NoAnswerError(f"more than {_MAX_REDIRECTS} redirects", "an answer", is_outage=False)

    def _ask(self, url: str, conditions: Mapping[str, str], is_wanted: Callable[[Answer], bool]) -> Answer:
        self._pace(authority(url))
        headers = {
            "Host": authority(url),
            "User-Agent": self._source.user_agent,
            "Accept": "text/html,application/xhtml+xml,text/plain,application/pdf;q=0.9,*/*;q=0.1",
            # Others than gzip are not unpacked: a page of 1 KB in another may be one of 1 GB.
            "Accept-Encoding": "gzip",
            **conditions,
        }
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), self._source.timeout_s)
        self._network.set_deadline(self._source.timeout_s)
        with self._pool.stream("GET", url, headers=list(headers.items()), extensions={"timeout": timeouts}) as told:
            answer = Answer(url, told.status, httpx2.Headers(told.headers))
            if answer.status in _TRY_AGAIN:
                raise _TryAgainError(answer)
            if answer.status == httpx2.codes.NOT_MODIFIED:
                # Read to its end, which comes at once, so that the connection serves the next page.
                told.read()
            if not answer.is_success or not is_wanted(answer):
                return answer
            return Answer(url, answer.status, answer.headers, self._body(answer, told.iter_stream()))

    def _body(self, answer: Answer, chunks: Iterable[bytes]) -> bytes:
        length = answer.headers.get("Content-Length", "")
        if length.isdecimal():
            check_size(int(length), self._max_bytes)
        packing = answer.headers.get("Content-Encoding", "identity").strip().lower()
        if packing in _PACKED:
            return gunzip(chunks, self._max_bytes)
        if packing != "identity":
            raise BadInputError("the page is packed in a way that is not read", got=packing, wanted="gzip, or as it is")
        content = bytearray()
        for chunk in chunks:
            content += chunk
            check_size(len(content), self._max_bytes)
        return bytes(content)

    def _pace(self, host: str) -> None:
        wait = self._free_at.get(host, 0.0) - time.monotonic()
        if wait > 0:
            self._sleep(wait)
        self._free_at[host] = time.monotonic() + max(1 / self._source.requests_per_second, self.delays.get(host, 0.0))


def _back_off(error: Exception) -> bool | float:
    """Return whether to try again, or after how many seconds where the answer says so."""
    if isinstance(error, _TryAgainError):
        return min(seconds_to_wait(error.retry_after), _LONGEST_WAIT_S) if error.retry_after else True
    return isinstance(error, _OUTAGES)
