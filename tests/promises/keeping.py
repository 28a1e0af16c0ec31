"""How a check says that a promise is broken: by its own words, never by an error of the code that was taken out."""

from __future__ import annotations


class BrokenPromiseError(AssertionError):
    """A promise was not kept."""


def promised(kept: object, otherwise: str) -> None:
    """Raise BrokenPromiseError with a sentence unless `kept`."""
    if not kept:
        raise BrokenPromiseError(otherwise)
