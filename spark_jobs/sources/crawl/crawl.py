"""One crawl: from the start pages along links, each page judged, asked for and read; what is known decides the rest.

That a page was not reached means that it is gone only if every page that might link to it was read. Where one was not,
the pages that are known and were not reached are asked for themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import httpx2

from ragstone.contracts.records import Envelope
from ragstone.lake.documents import is_alive
from ragstone.lake.landing import LandingZone
from ragstone.runtime.errors import (
    BadInputError,
    ConfigError,
    ContractError,
    DependencyUnavailableError,
    NotFoundError,
    RagstoneError,
)
from ragstone.runtime.logging import get_logger
from ragstone.runtime.source_settings import CrawlSource
from spark_jobs.sources.connector import SourceItem
from spark_jobs.sources.crawl.answers import Answer
from spark_jobs.sources.crawl.fetcher import Fetcher, NoAnswerError
from spark_jobs.sources.crawl.frontier import Frontier, Visit
from spark_jobs.sources.crawl.pages import PageFacts, header_directives, read_facts
from spark_jobs.sources.crawl.robots import Robots, Verdict
from spark_jobs.sources.crawl.sitemaps import read_sitemap
from spark_jobs.sources.crawl.urls import Scope, authority, normalise_url, origin
from spark_jobs.sources.http_conditions import conditions, http_date
from spark_jobs.sources.mime import CRAWLED, HTML

_GONE: Final = (404, 410)
_REFUSALS: Final = range(400, 500)
_PAGE_KINDS: Final = (CRAWLED, HTML)
_MAX_SITEMAPS: Final = 100
_OUTAGES_IN_A_ROW: Final = 10

_log = get_logger(__name__)


class Crawl:
    """One look at the pages of a source. `known` has the newest change of each of its documents, by URL."""

    def __init__(
        self,
        name: str,
        source: CrawlSource,
        fetcher: Fetcher,
        landing: LandingZone,
        known: Mapping[str, Envelope],
        max_bytes: int,
    ) -> None:
        self._name = name
        self._source = source
        self._fetcher = fetcher
        self._landing = landing
        self._max_bytes = max_bytes
        self._page_kind = CRAWLED if source.content == "main" else HTML
        self._alive = {url: envelope for url, envelope in known.items() if is_alive(envelope)}
        self._starts = [self._start_url(start) for start in source.start]
        hosts = [*map(_host, source.hosts), *(authority(start) for start in self._starts)]
        self._scope = Scope(hosts, source.include, source.exclude)
        self._robots = Robots(fetcher, source.user_agent, self._scope.allows)
        self._frontier = Frontier(source.max_pages)
        self._outages: Counter[str] = Counter()
        self._yielded: set[str] = set()
        self._gave_way: set[str] = set()
        # Whether a page that may have links could not be read, so that some links are not known.
        self._links_missing = False
        self._too_deep: set[str] = set()

    def items(self) -> Iterator[SourceItem]:
        """Yield an item for each page of the site, each once."""
        for start in self._starts:
            self._frontier.add(Visit(start, is_start=True))
        if self._source.sitemaps and self._source.max_depth:
            self._add_sitemaps()
        yield from self._visit_all()
        if self._links_missing:
            for url in self._not_reached():
                self._frontier.add(Visit(url, depth=self._source.max_depth))
            yield from self._visit_all()
        for url in self._too_deep:
            if not self._frontier.saw(url):
                self._yielded.add(url)
                yield self._kept(url)
        if self._frontier.is_cut:
            waiting = self._frontier.waiting()
            _log.warning("crawl cut short", source=self._name, max_pages=self._source.max_pages, waiting=len(waiting))
            # They were not looked at: that says nothing of them.
            for url in [*self._not_reached(), *waiting]:
                if url in self._alive and url not in self._yielded:
                    yield self._kept(url)

    def _not_reached(self) -> list[str]:
        return [url for url in self._alive if self._scope.takes(url) and not self._frontier.saw(url)]

    def _visit_all(self) -> Iterator[SourceItem]:
        while (visit := self._frontier.next()) is not None:
            for item in self._visit(visit):
                self._yielded.add(item.source_uri)
                yield item

    def _visit(self, visit: Visit) -> Iterator[SourceItem]:
        if self._outages[origin(visit.url)] >= _OUTAGES_IN_A_ROW:
            yield from self._passed_over(visit, "its host has stopped answering", is_outage=True)
            return
        verdict = self._robots.judge(visit.url)
        if not verdict.allowed:
            yield from self._forbidden(visit, verdict)
            return
        before = self._alive.get(visit.url)
        landed = self._landed(before)
        try:
            answer = self._fetcher.get(visit.url, self._conditions(before, landed), lambda answer: answer.may_be_page)
            self._outages[origin(visit.url)] = 0
            yield from self._answered(visit, answer, before, landed)
        except NoAnswerError as bad:
            self._outages[origin(visit.url)] += bad.is_outage
            yield from self._failed(visit, bad.got, bad.wanted, is_outage=bad.is_outage)
        except BadInputError as bad:
            yield from self._failed(visit, bad.got, bad.wanted, is_outage=False)

    def _conditions(self, before: Envelope | None, landed: bytes | None) -> dict[str, str]:
        """Return what asks for a page only if it has changed: it must be landed, and be read as settings say now."""
        is_other_kind = before is not None and before.mime_type in _PAGE_KINDS and before.mime_type != self._page_kind
        return {} if before is None or landed is None or is_other_kind else conditions(before.source_version)

    def _answered(
        self, visit: Visit, answer: Answer, before: Envelope | None, landed: bytes | None
    ) -> Iterator[SourceItem]:
        if answer.status == httpx2.codes.NOT_MODIFIED and before is not None and landed is not None:
            yield from self._unchanged(visit, answer, before, landed)
        elif answer.is_redirect:
            yield from self._redirected(visit, answer)
        elif answer.is_success:
            yield from self._page(visit, answer)
        elif not visit.is_start and (answer.status in _GONE or (answer.status in _REFUSALS and before is None)):
            _log.info("page not there", source=self._name, url=visit.url, status=answer.status)
        else:
            yield from self._failed(visit, f"status {answer.status}", "the page", is_outage=answer.status >= 500)

    def _unchanged(self, visit: Visit, answer: Answer, before: Envelope, landed: bytes) -> Iterator[SourceItem]:
        """Yield a page that is as it was landed; its links are those of the landed copy."""
        directives = header_directives(answer.headers, self._source.user_agent)
        if before.mime_type in _PAGE_KINDS and not directives.nofollow:
            self._add_links(visit, self._facts(landed, visit.url).links)
        if not directives.noindex and self._scope.takes(visit.url):
            yield SourceItem(visit.url, visit.url, modified_at=before.source_modified_at, version=before.source_version)

    def _redirected(self, visit: Visit, answer: Answer) -> Iterator[SourceItem]:
        """Ask where the answer says, as far as limits allow; the URL that redirects is no page any more."""
        target = answer.redirect
        follows = target is not None and (self._scope.allows if visit.is_start else self._scope.takes)(target)
        if target is not None and follows and (onward := visit.to(target)):
            self._frontier.add(onward, first=True)
            return
        told = f"a redirect to {target or answer.headers.get('Location')}"
        if follows or visit.is_start:
            wanted = "a page" if follows else "a page on one of hosts"
            yield from self._failed(visit, told, wanted, is_outage=False)
        else:
            _log.info("redirect not followed", source=self._name, url=visit.url, to=target)

    def _page(self, visit: Visit, answer: Answer) -> Iterator[SourceItem]:
        kind = answer.kind
        if answer.content is None or kind is None:
            if visit.is_start:
                yield from self._failed(visit, answer.media_type, "a page of HTML or text", is_outage=False)
            return
        directives = header_directives(answer.headers, self._source.user_agent)
        if kind == HTML:
            facts = self._facts(answer.content, visit.url)
            directives.noindex |= facts.directives.noindex
            if not directives.noindex and self._gives_way(visit, facts.canonical):
                return
            if not directives.nofollow:
                self._add_links(visit, facts.links)
        if not directives.noindex and self._scope.takes(visit.url):
            yield SourceItem(
                visit.url,
                visit.url,
                modified_at=http_date(answer.headers.get("Last-Modified", "")),
                version=answer.version,
                content=answer.content,
                mime_type=self._page_kind if kind == HTML else kind,
            )

    def _gives_way(self, visit: Visit, canonical: str | None) -> bool:
        """Return whether a page stands back for its canonical URL, which is then asked for and stands for itself."""
        if canonical is None or canonical == visit.url or not self._scope.takes(canonical):
            return False
        # Of pages that name each other in a circle the last one is taken.
        onward = visit.to(canonical)
        if onward is None or canonical in self._gave_way or not self._robots.judge(canonical).allowed:
            return False
        self._gave_way.add(visit.url)
        self._frontier.add(onward, first=True)
        return True

    def _forbidden(self, visit: Visit, verdict: Verdict) -> Iterator[SourceItem]:
        if visit.is_start and not verdict.is_outage:
            raise self._misconfigured(visit.url, verdict.why, "a start page that robots.txt allows")
        yield from self._passed_over(visit, verdict.why, is_outage=verdict.is_outage)

    def _passed_over(self, visit: Visit, why: str, *, is_outage: bool) -> Iterator[SourceItem]:
        """Yield a known page as it is, for it may not or need not be asked for now; one that is new waits."""
        if visit.is_start:
            raise self._unreachable(visit.url, why)
        _log.info("page passed over", source=self._name, url=visit.url, why=why)
        has_links = self._add_landed_links(visit)
        self._links_missing |= is_outage and not has_links
        if visit.url in self._alive:
            yield self._kept(visit.url)

    def _failed(self, visit: Visit, got: object, wanted: object, *, is_outage: bool) -> Iterator[SourceItem]:
        """Yield a page that cannot be read as one to be set aside: it is still there, as it was landed if it was."""
        if visit.is_start and is_outage:
            raise self._unreachable(visit.url, got)
        if visit.is_start:
            raise self._misconfigured(visit.url, got, wanted)
        self._links_missing |= not self._add_landed_links(visit)
        refusal = BadInputError("the page cannot be read", got=got, wanted=wanted)
        yield SourceItem(visit.url, visit.url, refusal=refusal)

    def _add_landed_links(self, visit: Visit) -> bool:
        """Follow what the landed copy of a page links to. Return whether there is one."""
        before = self._alive.get(visit.url)
        landed = self._landed(before)
        if before is not None and landed is not None and before.mime_type in _PAGE_KINDS:
            self._add_links(visit, self._facts(landed, visit.url).links)
        return landed is not None

    def _add_links(self, visit: Visit, links: Iterable[str]) -> None:
        for url in links:
            if not self._scope.takes(url):
                continue
            if visit.depth < self._source.max_depth:
                self._frontier.add(Visit(url, visit.depth + 1))
            elif url in self._alive:
                self._too_deep.add(url)

    def _add_sitemaps(self) -> None:
        """Queue the pages that the sitemaps of the start pages' hosts name, one link deep."""
        waiting: list[str] = []
        for start in self._starts:
            waiting += self._robots.sitemaps(start) or [f"{origin(start)}/sitemap.xml"]
        seen: set[str] = set()
        while waiting and len(seen) < _MAX_SITEMAPS:
            url = waiting.pop(0)
            if url in seen or not self._scope.allows(url):
                continue
            seen.add(url)
            waiting += self._read_sitemap(url)
        self._links_missing |= bool(waiting)

    def _read_sitemap(self, url: str) -> list[str]:
        """Queue the pages that one sitemap names, and return the sitemaps that it names."""
        try:
            answer = self._fetcher.follow(url, self._scope.allows)
            if answer.content is None:
                self._links_missing |= answer.status not in _REFUSALS
                return []
            sitemap = read_sitemap(answer.content, url, self._max_bytes)
        except (NoAnswerError, BadInputError) as bad:
            _log.warning("sitemap passed over", source=self._name, url=url, got=str(bad.got))
            self._links_missing = True
            return []
        self._links_missing |= not sitemap.is_whole
        self._add_links(Visit(url), sitemap.pages)
        return sitemap.sitemaps

    def _facts(self, content: bytes, url: str) -> PageFacts:
        return read_facts(content, url, self._source.user_agent)

    def _landed(self, before: Envelope | None) -> bytes | None:
        """Return the landed copy of a page; None when there is none, so that the page is asked for whole."""
        if before is None or before.landing_uri is None:
            return None
        try:
            return self._landing.read_object(before.landing_uri)
        except (NotFoundError, ContractError):
            return None

    def _kept(self, url: str) -> SourceItem:
        return SourceItem(url, url, kept=True)

    def _start_url(self, start: str) -> str:
        url = normalise_url(start)
        if url is None:
            raise self._misconfigured(start, start, "an address that begins with http:// or https://")
        return url

    def _misconfigured(self, url: str, got: object, wanted: object) -> RagstoneError:
        return ConfigError(
            f"the source {self._name} cannot be crawled from its start page",
            where=url,
            got=got,
            wanted=wanted,
            next_step=f"correct sources.{self._name} (start, hosts, allow_private); nothing was changed",
        )

    def _unreachable(self, url: str, got: object) -> RagstoneError:
        return DependencyUnavailableError(
            f"the start page of source {self._name} cannot be reached",
            where=url,
            got=got,
            wanted=f"an answer within {self._source.attempts} attempts",
            next_step="see that it may be reached from here, then run again; nothing was changed",
        )


def _host(told: str) -> str:
    """Return a host of the settings as normalised URLs have it."""
    url = normalise_url(f"http://{told}")
    return told if url is None else authority(url)
