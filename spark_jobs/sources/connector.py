"""What a connector is.

A new kind of source takes three things: its settings (runtime/settings.py), its connector, and a line in connect.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class SourceItem:
    """One item as its source lists it, before its bytes are read.

    `source_uri` names it for good, relative to the source; `locator` is where to read it now.
    """

    source_uri: str
    locator: str
    modified_at: datetime | None


class Connector(Protocol):
    """Reads one source: lists its items, then gives the bytes of each."""

    name: str
    acl: tuple[str, ...]
    metadata: dict[str, str]

    def items(self) -> Iterator[SourceItem]:
        """Yield every item of the source, each once. Raises ConfigError when the source itself cannot be reached."""
        ...

    def fetch(self, item: SourceItem) -> bytes:
        """Return the bytes of an item. Raises BadInputError when they cannot be had; its neighbours go on."""
        ...
