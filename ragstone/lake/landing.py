"""The landing zone: bytes as they were received, and a numbered log of batches of envelopes. Bronze follows this log.

    <root>/objects/<aa>/<sha256>     the bytes of one version, by their hash
    <root>/batches/<00000001>.jsonl  the envelopes of one batch, one JSON object a line
    <root>/ID                        the identity of this landing zone

A batch is complete and on disk before it has its name, and a number is given once, so every process may append.
"""

from __future__ import annotations

import json
import os
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from ragstone.contracts.identity import content_hash
from ragstone.contracts.records import Envelope, new_run_id
from ragstone.runtime.errors import ContractError, NotFoundError

_NUMBER_DIGITS: Final = 8
_TIMES: Final = ("fetched_at", "source_modified_at")
_ENVELOPE_FIELDS: Final = tuple(field.name for field in fields(Envelope))


@dataclass(frozen=True)
class LandingBatch:
    """One batch: its number, the run that landed it, and its envelopes, at most one for each document.

    `origin` names what the batch was read from, such as one batch of a stream, where that may come again.
    """

    number: int
    run_id: str
    envelopes: tuple[Envelope, ...]
    origin: str | None = None


def object_uri(digest: str) -> str:
    """Return the landing_uri of the bytes with this content hash."""
    return f"objects/{digest[:2]}/{digest}"


class LandingZone:
    """The landing zone below one folder, which is made on the first write."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._batches = root / "batches"

    def put_object(self, content: bytes) -> str:
        """Store bytes under their hash and return their landing_uri, relative to the root. Known bytes cost nothing."""
        uri = object_uri(content_hash(content))
        path = self.root / uri
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _scratch_file(path.parent, content).replace(path)
            _sync_folder(path.parent)
        return uri

    def read_object(self, landing_uri: str) -> bytes:
        """Return the bytes of a landing object. Raises NotFoundError, or ContractError when they are not as landed."""
        path = self.root / landing_uri
        try:
            content = path.read_bytes()
        except OSError as missing:
            raise NotFoundError("a landing object is not there", where=str(path), got=missing) from missing
        if content_hash(content) != path.name:
            raise ContractError(
                "a landing object is not as it was received",
                where=str(path),
                got=content_hash(content),
                wanted=path.name,
                next_step="remove that file, touch the item at its source and run `ragstone ingest`",
            )
        return content

    def landing_id(self) -> str:
        """Return the identity of this landing zone, made on the first call: one made anew has another."""
        path = self.root / "ID"
        if not path.exists():
            self.root.mkdir(parents=True, exist_ok=True)
            _publish(self.root, uuid.uuid4().hex.encode(), path)
        return path.read_text("ascii")

    def last_batch(self) -> int:
        """Return the number of the newest batch, 0 when there is none."""
        return max(self._numbers(), default=0)

    def append_batch(self, envelopes: Sequence[Envelope], run_id: str | None = None) -> LandingBatch:
        """Append one batch, durably, and return it as landed. Without a run the batch gets a run id of its own.

        Every envelope is stamped with one `fetched_at`: the latest given, or just after the batch before when the clock
        went back or another writer was faster, so that times follow the order of the log. Raises ContractError when a
        document comes twice or the batch is empty.
        """
        number = self.last_batch() + 1
        landed = None
        while landed is None:
            landed = self.try_append(envelopes, run_id or new_run_id(datetime.now(UTC)), number)
            number += 1
        return landed

    def append_untouched(
        self, envelopes: Sequence[Envelope], run_id: str, seen_batch: int, origin: str | None = None
    ) -> list[Envelope]:
        """Append one batch, but for documents that someone changed after `seen_batch`, and return what it holds.

        Where someone landed a change of a document since it was compared, such as a delete, ours is dropped: the next
        run compares with theirs.
        """
        while envelopes:
            batch = self.try_append(envelopes, run_id, seen_batch + 1, origin)
            if batch is not None:
                return list(batch.envelopes)
            for newer in self.read_batches(after=seen_batch):
                touched = {envelope.document_id for envelope in newer.envelopes}
                envelopes = [envelope for envelope in envelopes if envelope.document_id not in touched]
                seen_batch = newer.number
        return []

    def holds_origin(self, origin: str) -> bool:
        """Return whether a batch of this origin was landed; looks at the first line of each, newest first."""
        return any(self._first_line(number).get("origin") == origin for number in sorted(self._numbers(), reverse=True))

    def try_append(
        self, envelopes: Sequence[Envelope], run_id: str, number: int, origin: str | None = None
    ) -> LandingBatch | None:
        """Append one batch as `number`, or return None when that number was taken meanwhile: read again and retry."""
        moment = max([envelope.fetched_at for envelope in envelopes], default=datetime.now(UTC))
        previous = self._moment(number - 1)
        if previous is not None:
            moment = max(moment, previous + timedelta(microseconds=1))
        stamped = tuple(replace(envelope, fetched_at=moment) for envelope in envelopes)
        self._batches.mkdir(parents=True, exist_ok=True)
        taken = not _publish(self._batches, _encode(stamped, run_id, origin), self.batch_path(number))
        return None if taken else LandingBatch(number, run_id, stamped, origin)

    def read_batches(self, after: int = 0) -> Iterator[LandingBatch]:
        """Yield the batches with a greater number than `after`, in order."""
        for number in sorted(self._numbers()):
            if number > after:
                yield _decode(number, self.batch_path(number))

    def batch_path(self, number: int) -> Path:
        """Return the file of a batch."""
        return self._batches / f"{number:0{_NUMBER_DIGITS}d}.jsonl"

    def _moment(self, number: int) -> datetime | None:
        """Return when a batch was landed, or None for number 0: its first line tells, for all share one moment."""
        return None if number == 0 else _from_json(self._first_line(number)).fetched_at

    def _first_line(self, number: int) -> dict[str, Any]:
        with self.batch_path(number).open(encoding="utf-8") as lines:
            first: dict[str, Any] = json.loads(next(lines))
        return first

    def _numbers(self) -> list[int]:
        return [int(path.stem) for path in self._batches.glob("*.jsonl")] if self._batches.is_dir() else []


def _encode(envelopes: Sequence[Envelope], run_id: str, origin: str | None) -> bytes:
    documents = {envelope.document_id for envelope in envelopes}
    if not envelopes or len(documents) != len(envelopes):
        raise ContractError(
            "a landing batch must hold each of its documents once",
            where="the landing zone",
            got=f"{len(envelopes)} envelopes of {len(documents)} documents",
        )
    landed = {"run_id": run_id} if origin is None else {"run_id": run_id, "origin": origin}
    lines = (json.dumps({**_to_json(envelope), **landed}, ensure_ascii=False) for envelope in envelopes)
    return "".join(f"{line}\n" for line in lines).encode("utf-8")


def _to_json(envelope: Envelope) -> dict[str, Any]:
    record = asdict(envelope)
    for name in _TIMES:
        moment = record[name]
        record[name] = moment.astimezone(UTC).isoformat(timespec="microseconds") if moment else None
    return record


def _decode(number: int, path: Path) -> LandingBatch:
    # Split at line feeds alone: str.splitlines would also cut at separators that JSON leaves unescaped.
    records = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
    envelopes = tuple(_from_json(record) for record in records)
    return LandingBatch(number, records[0]["run_id"], envelopes, records[0].get("origin"))


def _from_json(record: dict[str, Any]) -> Envelope:
    # A batch landed before a field was added lacks it.
    known: dict[str, Any] = {name: record.get(name) for name in _ENVELOPE_FIELDS}
    for name in _TIMES:
        known[name] = datetime.fromisoformat(known[name]) if known[name] else None
    known["acl"] = None if known["acl"] is None else tuple(known["acl"])
    return Envelope(**known)


def _publish(folder: Path, content: bytes, path: Path) -> bool:
    """Give content its final name unless that is taken: complete and on disk before anyone can see it."""
    scratch = _scratch_file(folder, content)
    try:
        os.link(scratch, path)
    except FileExistsError:
        return False
    finally:
        scratch.unlink()
    _sync_folder(folder)
    return True


def _scratch_file(folder: Path, content: bytes) -> Path:
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".scratch-")
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return Path(name)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
