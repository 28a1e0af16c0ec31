"""All access to Feast: the store, the offline store over the lake, materializing, online reads, training sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typeguard

if TYPE_CHECKING:
    from ragstone.features.training_sets import TrainingSets

__all__ = ["TrainingSets"]

_typechecked = typeguard.typechecked


def _typechecked_but_for_feast(target: Any = None, **options: Any) -> Any:
    """Decorate as typeguard does, but leave Feast's own code as it is.

    Feast has most of its classes checked at every call, for which typeguard parses and rewrites them anew in every
    process: two thirds of what importing Feast costs, in seconds of processor time, at each run that changes anything.
    """
    if getattr(target, "__module__", "").startswith("feast."):
        return target
    return _typechecked(target, **options) if target is not None else _typechecked(**options)


# Here, because no module of this package can be imported, and so import Feast, before it.
typeguard.typechecked = _typechecked_but_for_feast


def __getattr__(name: str) -> Any:
    """Return `TrainingSets`, which brings Feast, when it is first asked for."""
    if name == "TrainingSets":
        from ragstone.features.training_sets import TrainingSets

        return TrainingSets
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
