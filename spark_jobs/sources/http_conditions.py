"""What HTTP says of versions and of waiting, as connectors use it."""

from __future__ import annotations

import email.utils
from datetime import UTC, datetime


def conditions(version: str | None) -> dict[str, str]:
    """Return the headers that ask for something only when it is another than this version.

    A version is `etag <ETag>` or `modified <Last-Modified>`; any other asks for no condition.
    """
    kind, _, value = (version or "").partition(" ")
    names = {"etag": "If-None-Match", "modified": "If-Modified-Since"}
    return {names[kind]: value} if kind in names else {}


def http_date(text: str) -> datetime | None:
    """Return the moment that a header such as Last-Modified names, in UTC, or None when it is no date."""
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def seconds_to_wait(retry_after: str) -> float:
    """Return how long a Retry-After asks to wait: a number of seconds, or a date; a second when it is neither."""
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        moment = http_date(retry_after)
    return 1.0 if moment is None else max(0.0, (moment - datetime.now(UTC)).total_seconds())
