"""Requests to one API: its token, its rate, what is asked for again, where redirects may lead, how much is read."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Final, Self

import httpx2
import stamina

from ragstone.runtime.errors import BadInputError, ConfigError, DependencyUnavailableError
from ragstone.runtime.settings import read_secret
from ragstone.runtime.source_settings import HttpSource
from spark_jobs.sources.http_conditions import seconds_to_wait

_TRY_AGAIN: Final = (429, 500, 502, 503, 504)
# Of one item these say something; for a page they are as bad as any other refusal.
_ABOUT_ONE_ITEM: Final = (304, 404, 410)
_MAX_REDIRECTS: Final = 5
_LONGEST_WAIT_S: Final = 120.0
# What an answer's body was on its way; it is unpacked and whole here.
_OF_THE_WAY: Final = ("Content-Encoding", "Content-Length", "Transfer-Encoding")


class AnswerTooLargeError(BadInputError):
    """An answer that was not read to its end."""


class _TryAgainError(Exception):
    """An answer that may be another one later."""

    def __init__(self, answer: httpx2.Response) -> None:
        super().__init__(f"status {answer.status_code}")
        self.retry_after = answer.headers.get("Retry-After")


class ApiClient:
    """Asks one API, no faster than its rate. Used in a `with`, after which its connections are closed."""

    def __init__(self, name: str, source: HttpSource) -> None:
        self._name = name
        self._source = source
        self._next_request_at = 0.0
        headers = {"Accept-Encoding": "gzip", **source.headers}
        if source.token:
            headers["Authorization"] = f"Bearer {read_secret(source.token).get_secret_value()}"
        self._client = httpx2.Client(headers=headers, timeout=source.timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()

    def request(self, url: httpx2.URL | str, headers: dict[str, str] | None = None) -> httpx2.Request:
        """Return a request that was not sent yet."""
        return self._client.build_request("GET", url, headers=headers)

    def answer(self, request: httpx2.Request, limit: int, setting: str) -> httpx2.Response:
        """Return a good answer, a 304, 404 or 410, asked for again with back-off where that may help.

        Raises AnswerTooLargeError for one of more than `limit` bytes when unpacked (`setting` is what sets that),
        ConfigError for a refusal and DependencyUnavailableError when there is no answer within the attempts.
        """
        try:
            for attempt in stamina.retry_context(
                on=_back_off, attempts=self._source.attempts, timeout=None, wait_max=_LONGEST_WAIT_S
            ):
                with attempt:
                    return self._one_answer(request, limit, setting)
        except httpx2.UnsupportedProtocol:
            raise
        except (_TryAgainError, httpx2.RequestError) as broken:
            raise self._unreachable(broken) from broken
        raise AssertionError("an attempt returns or raises")

    def json(self, answer: httpx2.Response) -> Any:
        """Return what an answer says. Raises ConfigError when it is no JSON."""
        try:
            return answer.json()
        except (ValueError, RecursionError) as broken:
            raise self.misconfigured(f"{answer.headers.get('Content-Type')}: {broken}", "JSON") from broken

    def check_host(self, asked: httpx2.URL, told: httpx2.URL) -> None:
        """Raise ConfigError for an address that an answer leads to and that the token was not given for."""
        is_same = (told.scheme, told.host, told.port) == (asked.scheme, asked.host, asked.port)
        is_made_safe = (asked.scheme, asked.port, told.scheme, told.port) == ("http", None, "https", None)
        if not (is_same or (is_made_safe and told.host == asked.host)):
            raise self.misconfigured(f"{asked} leads to {told}", "answers of one host, which gets the token")

    def _one_answer(self, request: httpx2.Request, limit: int, setting: str) -> httpx2.Response:
        wait = self._next_request_at - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        self._next_request_at = time.monotonic() + 1 / self._source.requests_per_second
        answer = self._followed(request, limit, setting)
        if answer.status_code in _TRY_AGAIN:
            raise _TryAgainError(answer)
        if not answer.is_success and answer.status_code not in _ABOUT_ONE_ITEM:
            raise self.misconfigured(f"status {answer.status_code} for {answer.url}", "an answer with records")
        return answer

    def _followed(self, request: httpx2.Request, limit: int, setting: str) -> httpx2.Response:
        """Return what a request, and redirects on the same host, lead to."""
        answer = self._read(request, limit, setting)
        for _ in range(_MAX_REDIRECTS):
            if answer.next_request is None:
                return answer
            self.check_host(answer.request.url, answer.next_request.url)
            answer = self._read(answer.next_request, limit, setting)
        raise self.misconfigured(f"more than {_MAX_REDIRECTS} redirects, the last to {answer.url}", "an answer")

    def _read(self, request: httpx2.Request, limit: int, setting: str) -> httpx2.Response:
        """Return an answer with its body, which is read only where it is wanted and no further than the limit."""
        answer = self._client.send(request, stream=True)
        try:
            body = bytearray()
            for chunk in answer.iter_bytes() if answer.is_success else ():
                body += chunk
                if len(body) > limit:
                    raise _too_large(answer, len(body), f"at most {limit} ({setting})")
        finally:
            answer.close()
        headers = httpx2.Headers([pair for pair in answer.headers.multi_items() if pair[0].title() not in _OF_THE_WAY])
        whole = httpx2.Response(answer.status_code, headers=headers, content=bytes(body), request=answer.request)
        whole.next_request = answer.next_request
        return whole

    def misconfigured(self, got: object, wanted: str) -> ConfigError:
        """Return the error of an API that is not as its settings say."""
        return ConfigError(
            f"the source {self._name} cannot be read as it is configured",
            where=self._source.url,
            got=got,
            wanted=wanted,
            next_step=f"correct sources.{self._name}; nothing was changed",
        )

    def _unreachable(self, last: Exception) -> DependencyUnavailableError:
        return DependencyUnavailableError(
            f"the API of source {self._name} does not answer",
            where=self._source.url,
            got=last,
            wanted=f"every page, each within {self._source.attempts} attempts",
            next_step="see that it may be reached from here, then run again; nothing was changed",
        )


def _back_off(error: Exception) -> bool | float:
    """Return whether to try again, or after how many seconds where the answer says so."""
    if isinstance(error, _TryAgainError):
        return min(seconds_to_wait(error.retry_after), _LONGEST_WAIT_S) if error.retry_after else True
    # Half an answer that was packed cannot be unpacked.
    may_pass = isinstance(error, httpx2.TransportError | httpx2.DecodingError)
    return may_pass and not isinstance(error, httpx2.UnsupportedProtocol)


def _too_large(answer: httpx2.Response, size: int, wanted: str) -> AnswerTooLargeError:
    return AnswerTooLargeError(
        "an answer of the API is too large",
        where=str(answer.url),
        got=f"{size} bytes or more",
        wanted=wanted,
        next_step="have the API send less at a time, or raise the limit",
    )
