"""The purge as data: its parts in their order, each a function that may be run again and is done once it has returned.

A part is named `module:function`, takes settings, the record of the purge and a run id, and returns what it did. An
orchestrator runs each as a step of its own through `run_part`; a purge that was killed goes on with the first part that
is not done.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from orchestration.runner import target
from ragstone.contracts.records import StepResult
from ragstone.lake import purge_record
from ragstone.lake.ops import recorded_run
from ragstone.lake.purge_record import PurgeRecord
from ragstone.runtime.errors import NotFoundError, UsageError
from ragstone.runtime.settings import Settings

_ID: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Part:
    """One part of a purge."""

    name: str
    target: str
    does: str


PARTS: Final = (
    Part("bind", "orchestration.purge.steps:bind", "delete the document, so that no question is answered from it"),
    Part("collect", "orchestration.purge.steps:collect", "find its rows, objects and the traces of its text"),
    Part("landing", "orchestration.purge.steps:landing", "remove its bytes and blank its lines in the landing log"),
    Part("tables", "orchestration.purge.steps:tables", "take its rows out of every table and vacuum each"),
    Part(
        "index",
        "orchestration.purge.steps:index",
        "publish an index without it, or none; drop the snapshots that have it",
    ),
    Part("online", "orchestration.purge.steps:online", "take it out of Redis and rewrite Redis's files"),
    Part("files", "orchestration.purge.steps:files", "take it out of reports and logs"),
    Part("services", "orchestration.purge.steps:services", "make running services forget what they remember of it"),
    Part("proof", "orchestration.purge.steps:proof", "decode every file of the home and find nothing of it"),
)


def part(name: str) -> Part:
    """Return a part by name. Raises UsageError."""
    for known in PARTS:
        if known.name == name:
            return known
    wanted = ", ".join(known.name for known in PARTS)
    raise UsageError("there is no such part of a purge", got=name, wanted=f"one of {wanted}")


def open_record(settings: Settings, document_id: str) -> PurgeRecord:
    """Return the record of a purge, begun now when there is none. Raises UsageError for what is no document_id."""
    if not _ID.fullmatch(document_id):
        raise UsageError("this is no document_id", got=document_id, wanted="32 hexadecimal characters")
    return purge_record.load(settings, document_id) or purge_record.begin(document_id)


def run_part(settings: Settings, document_id: str, name: str, run_id: str) -> StepResult:
    """Run one part, recorded in ops.runs as `purge-<part>`; a part that is done is not run again.

    Raises UsageError when a part before it is not done.
    """
    chosen, record = part(name), open_record(settings, document_id)
    if name in record.done:
        return StepResult(f"purge-{name}", "unchanged", "parts", unchanged=1)
    missing = next((before.name for before in PARTS if before.name not in record.done), name)
    if missing != name:
        raise UsageError("the parts of a purge come in their order", got=name, wanted=missing)

    def step(given: Settings, given_run_id: str) -> StepResult:
        details = target(chosen.target)(given, record, given_run_id)
        _note(given, record, name, details)
        return StepResult(f"purge-{name}", "ok", "parts", accepted=1, details={"document_id": document_id, **details})

    return recorded_run(f"purge-{name}", step, settings, run_id)


def purge(settings: Settings, document_id: str, run_id: str) -> Iterator[tuple[Part, StepResult]]:
    """Run the parts that are not done, in their order, and yield what each did."""
    for each in PARTS:
        yield each, run_part(settings, document_id, each.name, run_id)


def is_finished(settings: Settings, document_id: str) -> bool:
    """Return whether a document was purged, with proof."""
    known = purge_record.load(settings, document_id)
    return known is not None and known.finished_at is not None


def preview(settings: Settings, document_id: str) -> dict[str, Any]:
    """Return what a purge would take away, changing nothing. Raises NotFoundError when nothing is known of it."""
    record = purge_record.begin(document_id)
    look: Callable[..., dict[str, Any]] = target("orchestration.purge.steps:preview")
    found = look(settings, record)
    if not found["landing_lines"]:
        raise NotFoundError("there is no such document", got=document_id, next_step="ragstone documents list")
    return found


def _note(settings: Settings, record: PurgeRecord, name: str, details: dict[str, Any]) -> None:
    record.done[name] = {"at": datetime.now(UTC).isoformat(), **details}
    if name == PARTS[-1].name:
        purge_record.finish(settings, record)
    else:
        purge_record.save(settings, record)
