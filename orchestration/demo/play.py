"""The whole demo: the home made anew, the six acts in order, and what to try next."""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from orchestration.demo import (
    act1_pipeline,
    act2_questions,
    act3_rerun,
    act4_edit_delete,
    act5_lineage,
    act6_training_set,
)
from orchestration.demo.corpus import Exported, export
from orchestration.demo.questions import ANSWERABLE
from orchestration.demo.service import served
from orchestration.demo.stage import SOURCE, Act, Stage
from orchestration.init_home import write_conf
from ragstone.contracts.names import ADMIN_GROUP
from ragstone.runtime.errors import UsageError
from ragstone.runtime.redis_server import stop_redis
from ragstone.runtime.settings import Settings, load_settings

# This text comes to about 460 new characters a chunk, which gives the thousand chunks the demo is meant to have.
MOST_CHARACTERS: Final = 450_000
_MARK: Final = "demo-home"


def play(settings: Settings, seed: int, show: Callable[[Act], None], most_characters: int = MOST_CHARACTERS) -> None:
    """Play the demo in the settings' home, which is emptied first; `show` gets each act as it ends.

    Raises DemoError at the first assertion that fails, and what the steps raise. Leaves no process behind.
    """
    stage, exported = _set(settings, seed, most_characters)
    try:
        first = act1_pipeline.run_pipeline(stage)
        show(act1_pipeline.play(exported, first))
        with served(stage.settings, stage.admin_key) as service:
            show(act2_questions.play(service))
            show(act3_rerun.play(stage, first))
            act, changes = act4_edit_delete.play(stage, service)
            show(act)
            show(act5_lineage.play(stage, service, changes.answer))
        show(act6_training_set.play(stage, changes))
    finally:
        stop_redis(stage.settings)


def next_commands(home: Path) -> list[tuple[str, str]]:
    """Return commands to try next, each with what it is for."""
    command = f"ragstone --home {home}"
    return [
        (f"{command} ask '{ANSWERABLE[0].text}'", "ask the demo's documents"),
        (f"{command} why '{ANSWERABLE[0].text}'", "see hits, scores, gate and decision"),
        (f"{command} why-not topics/del.txt '{ANSWERABLE[0].text}'", "see where a document stopped"),
        ("ragstone init FOLDER", "your own documents, to a first answer"),
        ("make serve", "serve them over HTTP"),
    ]


def _set(settings: Settings, seed: int, most_characters: int) -> tuple[Stage, Exported]:
    """Make the home anew: its documents as files, its conf, an API key that only this run knows."""
    _empty(settings)
    corpus = settings.home / "documents"
    exported = export(corpus, most_characters)
    key = secrets.token_urlsafe(24)
    admin = {"name": "demo", "sha256": hashlib.sha256(key.encode()).hexdigest(), "groups": [ADMIN_GROUP]}
    source = {"kind": "files", "root": str(corpus), "acl": ["public"]}
    write_conf(settings.home, {"sources": {SOURCE: source}, "serving": {"api_keys": [admin]}})
    (settings.home / _MARK).touch()
    return Stage(load_settings(home=settings.home, env=settings.env), corpus, key, seed), exported


def _empty(settings: Settings) -> None:
    """Remove an earlier demo. Raises UsageError for a folder that no demo made."""
    if settings.home.exists() and any(settings.home.iterdir()) and not (settings.home / _MARK).exists():
        raise UsageError(
            "the demo empties its home, and this one holds something else",
            where=str(settings.home),
            wanted="an empty folder, or the home of an earlier demo",
            next_step="ragstone --home ANOTHER demo",
        )
    stop_redis(settings)
    shutil.rmtree(settings.home, ignore_errors=True)
