"""`ragstone training-set --recipe`: training sets made of what was asked, shown and judged."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from orchestration.cli.invocation import Invocation
from orchestration.cli.output import emit
from ragstone.runtime.errors import UsageError


class Recipe(StrEnum):
    """What to make of the events."""

    RERANKER = "reranker"


def write_recipe(
    options: Invocation, recipe: Recipe, out: Path | None, as_of: datetime | None, unfit: Mapping[str, object]
) -> None:
    """Write a recipe's rows and their manifest. Raises UsageError without `out`, and for any of `unfit` that was given.

    `unfit` are the options that only labels have, by name.
    """
    given = [name for name, value in unfit.items() if value is not None]
    if out is None or given:
        raise UsageError(
            "a recipe makes its own labels",
            got=", ".join(given) or "no --out",
            wanted=f"--recipe {recipe} --out FILE, and --as-of TIME where it is wanted",
            next_step="ragstone training-set --help",
        )
    from ragstone.contracts.state import AsOf
    from ragstone.features.recipes.reranker import reranker_set

    made = reranker_set(options.settings().lake_root, AsOf(known_by=as_of))
    document = {"out": out, "manifest": made.write(out), **made.manifest}
    answers = made.manifest["answers"]
    told = f"{made.table.num_rows:,} rows in {out}, from {answers['used']:,} of {answers['judged']:,} judged answers"
    emit(options, document, lambda screen: screen.print(told, soft_wrap=True))
