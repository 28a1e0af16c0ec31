"""What robots.txt asks of a crawl (RFC 9309): what not to ask for, how slowly, and where sitemaps are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from protego import Protego

from ragstone.runtime.errors import BadInputError
from spark_jobs.sources.crawl.answers import Answer
from spark_jobs.sources.crawl.fetcher import Fetcher, NoAnswerError
from spark_jobs.sources.crawl.urls import authority, normalise_url, origin

_MAX_BYTES: Final = 512 * 1024
_LONGEST_DELAY_S: Final = 120.0


@dataclass(frozen=True)
class Verdict:
    """Whether a page may be asked for; if not, why, and whether that is only because robots.txt cannot be read now."""

    allowed: bool = True
    why: str = ""
    is_outage: bool = False


class Robots:
    """The robots.txt files of one crawl, each read once, before the first page it speaks for."""

    def __init__(self, fetcher: Fetcher, user_agent: str, allows: Callable[[str], bool]) -> None:
        self._fetcher = fetcher
        self._name = user_agent.partition("/")[0]
        self._allows = allows
        self._read: dict[str, Protego | Verdict] = {}

    def judge(self, url: str) -> Verdict:
        """Return whether a normalised URL may be asked for; its host's delay is kept from now on."""
        rules = self._rules(url)
        if isinstance(rules, Verdict):
            return rules
        allowed = rules.can_fetch(url, self._name)
        return Verdict() if allowed else Verdict(allowed=False, why=f"{origin(url)}/robots.txt disallows it")

    def sitemaps(self, url: str) -> list[str]:
        """Return the sitemaps that the robots.txt of a URL's host names, in its order."""
        rules = self._rules(url)
        named = [] if isinstance(rules, Verdict) else [normalise_url(told, url) for told in rules.sitemaps]
        return [told for told in named if told is not None]

    def _rules(self, url: str) -> Protego | Verdict:
        site = origin(url)
        if site not in self._read:
            self._read[site] = self._ask(f"{site}/robots.txt")
        return self._read[site]

    def _ask(self, url: str) -> Protego | Verdict:
        try:
            answer = self._fetcher.follow(url, self._allows)
        except (NoAnswerError, BadInputError) as bad:
            # What a site forbids is not known, so nothing of it is asked for.
            is_outage = not isinstance(bad, NoAnswerError) or bad.is_outage
            return Verdict(allowed=False, why=f"{url} cannot be read: {bad.got}", is_outage=is_outage)
        if not answer.is_success and answer.status not in range(400, 500):
            return Verdict(allowed=False, why=f"{url} cannot be read: status {answer.status}", is_outage=True)
        return self._parsed(url, answer)

    def _parsed(self, url: str, answer: Answer) -> Protego | Verdict:
        text = (answer.content or b"")[:_MAX_BYTES].decode("utf-8-sig", errors="replace")
        rules = Protego.parse(text)
        rate = rules.request_rate(self._name)
        delay = max(
            rules.crawl_delay(self._name) or 0.0, rate.seconds / rate.requests if rate and rate.requests else 0.0
        )
        if delay > _LONGEST_DELAY_S:
            return Verdict(allowed=False, why=f"{url} asks for {delay:g} s between requests")
        self._fetcher.delays[authority(url)] = delay
        return rules
