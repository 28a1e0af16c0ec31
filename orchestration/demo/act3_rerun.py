"""Act 3: the same run again writes nothing outside ops and embeds nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

from orchestration.demo.act1_pipeline import run_pipeline, steps_panel, total_seconds
from orchestration.demo.stage import Act, Panel, Stage, check
from orchestration.runner import StepOutcome
from ragstone.runtime.redis_server import online_client
from ragstone.runtime.settings import Settings

_WATCHED: Final = ("landing", "lake", "registry", "index")


def play(stage: Stage, first: list[StepOutcome]) -> Act:
    """Run the pipeline again. Raises DemoError when anything but ops changed."""
    before = fingerprint(stage.settings)
    again = run_pipeline(stage)
    after = fingerprint(stage.settings)
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    check(not changed, "a run without a change wrote something", got=changed[:5], wanted="nothing outside ops")
    busy = [outcome.result.step for outcome in again if outcome.result.written or outcome.result.accepted]
    check(not busy, "a run without a change took something in", got=busy, wanted="every row unchanged")
    kept = Panel(
        "Before and after, compared by content",
        ("place", "things", "changed"),
        [(place, sum(name.startswith(place) for name in before), 0) for place in (*_WATCHED, "redis")],
    )
    said = (
        "landing, lake (but for ops), registry, index and Redis hold the same bytes as before; nothing was embedded",
        f"it took {total_seconds(again):.1f} s; the first run took {total_seconds(first):.1f} s",
    )
    return Act(3, "The same run again", (steps_panel(again), kept), said, total_seconds(again))


def fingerprint(settings: Settings) -> dict[str, str]:
    """Return what the home holds outside ops, logs and conversations: a hash by file or Redis key."""
    files = {
        str(path.relative_to(settings.home)): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in _WATCHED
        for path in sorted((settings.home / folder).rglob("*"))
        if path.is_file() and not _is_ops(settings, path)
    }
    return files | _online(settings)


def _is_ops(settings: Settings, path: Path) -> bool:
    return path.is_relative_to(settings.lake_root / "ops")


def _online(settings: Settings) -> dict[str, str]:
    with online_client(settings) as client:
        dumps: dict[bytes, Any] = {key: client.dump(key) for key in client.scan_iter()}
    return {f"redis {key!r}": hashlib.sha256(dump or b"").hexdigest() for key, dump in dumps.items()}
