"""Taking an embedding space out of the feature store: its view and its online values."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from ragstone.features.apply import apply
from ragstone.features.redis_layout import fields_of, queue, scan_entities
from ragstone.features.views import chunk_embedding
from ragstone.runtime.redis_server import online_client
from ragstone.runtime.settings import Settings

_PIPELINED: Final = 1_000


def forget_space(settings: Settings, space: str) -> tuple[bool, int]:
    """Remove the online values of a space whose table is gone, then its view.

    Returns whether the registry had the view, and how many entities had values. Doing it again does no harm.
    """
    view = chunk_embedding(space)
    fields, cleared = fields_of(view), 0
    with online_client(settings) as client:
        keys = (key for key, _ in scan_entities(client, settings.feast.project, view.join_key))
        for part in _parts(keys):
            with client.pipeline(transaction=False) as pipeline:
                for key in part:
                    queue(pipeline, "HDEL", key, *fields)
                cleared += sum(1 for gone in pipeline.execute() if gone)
    removed = any(change.name == view.name and change.change == "removed" for change in apply(settings))
    return removed, cleared


def _parts(keys: Iterator[bytes]) -> Iterator[list[bytes]]:
    while part := list(islice(keys, _PIPELINED)):
        yield part
