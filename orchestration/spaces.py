"""Two models side by side: which embedding spaces there are, and retiring one that is served no more."""

from __future__ import annotations

from typing import Final

from ragstone.contracts.records import StepResult
from ragstone.features.views import embedding_spaces
from ragstone.lake import quarantine
from ragstone.lake.ops import OK, recorded_run
from ragstone.lake.spaces import coverage, drop_space, space_table
from ragstone.runtime.errors import NotFoundError, UsageError
from ragstone.runtime.settings import Settings

STEP: Final = "retire"


def known_spaces(settings: Settings) -> tuple[str, ...]:
    """Return the served space, every other that is filled, and every other that settings name; each once."""
    return tuple(dict.fromkeys((*embedding_spaces(settings), *settings.embedding.spaces)))


def check_known(settings: Settings, space: str) -> None:
    """Refuse a space that nobody has named: a misspelt name would be filled at full cost. Raises UsageError."""
    if space not in known_spaces(settings):
        raise UsageError(
            "there is no such embedding space",
            where="embedding.spaces",
            got=space,
            wanted=f"one of {', '.join(known_spaces(settings))}",
            next_step=f"name its encoder in embedding.spaces.{space}",
        )


def retire(settings: Settings, space: str, run_id: str) -> StepResult:
    """Take a space away: its table, its feature view, its online values, its open quarantine entries.

    The unit is vectors. Killed half-way it goes on when called again. Raises UsageError while the space is served or
    set to be, NotFoundError when there is nothing of it.
    """
    _check_unused(settings, space)
    return recorded_run(STEP, lambda settings, run_id: _retire(settings, space, run_id), settings, run_id)


def _retire(settings: Settings, space: str, run_id: str) -> StepResult:
    # Feast takes seconds to import.
    from ragstone.features.retired_space import forget_space

    root = settings.lake_root
    vectors = coverage(root, space).chunks
    had_table = drop_space(root, space)
    had_view, cleared = forget_space(settings, space)
    entries = [
        entry["entry_id"]
        for entry in quarantine.open_entries(root).to_pylist()
        if entry["dataset"] == space_table(space).name
    ]
    quarantine.resolve(root, entries, run_id, quarantine.VANISHED)
    if not (had_table or had_view or cleared):
        raise NotFoundError(
            "there is nothing of that embedding space",
            where=str(root),
            got=space,
            wanted=f"one of {', '.join(known_spaces(settings))}",
        )
    details = {"space": space, "table": had_table, "view": had_view, "online": cleared, "resolved": len(entries)}
    return StepResult(STEP, OK, unit="vectors", accepted=vectors, details=details)


def _check_unused(settings: Settings, space: str) -> None:
    uses = {
        "embedding.space": settings.embedding.space == space,
        "the published index": served_space(settings) == space,
    }
    for where, used in uses.items():
        if used:
            raise UsageError(
                "an embedding space that is in use cannot be retired",
                where=where,
                got=space,
                wanted="a space that nothing is answered from",
                next_step="set embedding.space to another filled space, then ragstone run",
            )


def served_space(settings: Settings) -> str | None:
    """Return the space of the published index, None when there is no index."""
    from serving.index.manifest import read_manifest
    from serving.index.pointer import read_pointer

    pointer = read_pointer(settings.index_root)
    return None if pointer is None else read_manifest(settings.index_root / pointer.version).space
