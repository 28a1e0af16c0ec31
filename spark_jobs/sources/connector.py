"""What a connector is.

A new kind of source takes three things: its settings (runtime/source_settings.py), its connector, and a line in
connect.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from ragstone.contracts.records import Envelope
from ragstone.runtime.errors import BadInputError


@dataclass(frozen=True)
class SourceItem:
    """One item as its source lists it.

    `source_uri` names it for good, relative to the source; `locator` is where to read it now. `version` is what the
    source calls its present version: an item that is listed without content is not fetched when its landed version is
    the same. `content` is there when
    the listing itself brought it. `mime_type` is there when the source knows better than the bytes. `metadata` is laid
    over that of the source. A `deleted` item is one that its source says is gone. `refusal` is why an item that was
    listed cannot be taken in. A `kept` one cannot be looked at now: it is still there, and stays as it was landed.
    """

    source_uri: str
    locator: str
    modified_at: datetime | None = None
    version: str | None = None
    content: bytes | None = None
    mime_type: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    deleted: bool = False
    refusal: BadInputError | None = None
    kept: bool = False


class Connector(Protocol):
    """Reads one source: lists its items, then gives the bytes of each.

    `lists_all` says that what is not listed is gone; `parallel` is how many items may be fetched at once.
    """

    name: str
    acl: tuple[str, ...]
    metadata: dict[str, str]
    lists_all: bool
    parallel: int

    def items(self, known: Mapping[str, Envelope]) -> Iterator[SourceItem]:
        """Yield every item of the source, each once.

        `known` has the newest change of each document of this source, by source_uri. Raises ConfigError when the source
        is not as configured and DependencyUnavailableError when it cannot be reached or breaks off: a listing is whole
        or it is none.
        """
        ...

    def fetch(self, item: SourceItem) -> bytes:
        """Return the bytes of an item that was listed without them; called from several threads.

        Raises BadInputError when they cannot be had; the item's neighbours go on.
        """
        ...
