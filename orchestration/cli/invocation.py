"""What the options before the command say: which home, which environment, people or programs as readers."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

if TYPE_CHECKING:
    from ragstone.runtime.settings import Settings


@dataclass(frozen=True)
class Invocation:
    """The global options. `home` and `env` are None when not given, so that lower layers of settings decide."""

    home: Path | None = None
    env: str | None = None
    as_json: bool = False

    def settings(self, **arguments: Any) -> Settings:
        """Return the settings, with `arguments` (sections as mappings) over everything; starts logging."""
        from ragstone.runtime.logging import configure_logging
        from ragstone.runtime.settings import load_settings

        settings = load_settings(home=self.home, env=self.env, **arguments)
        # On a terminal a progress bar tells what goes on, and lines would tear it; `debug` brings them back.
        quiet = sys.stderr.isatty() and settings.log.level == "info"
        configure_logging(settings.log.model_copy(update={"level": "warning"}) if quiet else settings.log)
        return settings


def invocation(context: typer.Context) -> Invocation:
    """Return the global options of the command that is running."""
    return cast(Invocation, context.find_root().obj)
