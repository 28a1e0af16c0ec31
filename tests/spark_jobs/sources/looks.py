"""Looking at a source again and again, as ingest does, with a landing zone but without bronze."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ragstone.contracts.records import Envelope
from ragstone.lake.landing import LandingZone
from ragstone.runtime.settings import IngestSettings, ParsingSettings
from ragstone.runtime.source_settings import Source
from spark_jobs.sources.connect import connect
from spark_jobs.sources.scan import SourceScan, scan_source


@dataclass
class Looks:
    """A source and what is known of it from the looks before."""

    source: Source
    root: Path
    known: dict[str, Envelope] = field(default_factory=dict)
    max_item_bytes: int = 100_000
    parsing: ParsingSettings = field(default_factory=ParsingSettings)

    @property
    def landing(self) -> LandingZone:
        return LandingZone(self.root / "landing")

    @property
    def ingest(self) -> IngestSettings:
        return IngestSettings(max_item_bytes=self.max_item_bytes)

    def look(self) -> SourceScan:
        """Look once more, and remember what was found."""
        scan = scan_source(
            connect("notes", self.source, self.ingest, self.parsing, self.landing), self.known, self.landing
        )
        self.known |= {envelope.document_id: envelope for envelope in scan.envelopes}
        return scan

    def changes(self) -> dict[str, str]:
        """Look once more and return what changed, by source_uri."""
        return {envelope.source_uri: envelope.change for envelope in self.look().envelopes}

    def content(self, source_uri: str) -> bytes:
        """Return the bytes that are landed of an item."""
        (envelope,) = [one for one in self.known.values() if one.source_uri == source_uri]
        return self.landing.read_object(envelope.landing_uri)
