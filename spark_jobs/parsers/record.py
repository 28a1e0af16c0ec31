"""Landed records: a title and a text, whose text is read as what it is written in."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from ragstone.runtime.errors import BadInputError
from spark_jobs.parsers.document import Page


def read_record(content: bytes, read_text: Callable[[str], Page]) -> Page:
    """Return a record's page; its own title wins over one found in its text.

    Raises BadInputError for bytes that are no landed record.
    """
    try:
        record = json.loads(content)
        title, text = record.get("title"), record["text"]
    except (ValueError, KeyError, AttributeError, RecursionError) as broken:
        raise BadInputError("the item is not a landed record", got=broken, wanted="title and text as JSON") from broken
    page = read_text(text)
    return replace(page, title=title or page.title)
