"""Every error Ragstone raises on purpose, and the exit code of each.

An error says what went wrong, where, what was got, what was wanted, and what to do next. The facts are attributes, so
that callers can act on them, and every error survives pickling, because Spark workers send theirs to the driver.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class RagstoneError(Exception):
    """Base of the tree. `what` is one sentence; the other facts are optional."""

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        got: object = None,
        wanted: object = None,
        next_step: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.got = got
        self.wanted = wanted
        self.next_step = next_step

    def facts(self) -> dict[str, str]:
        """Return the facts that were given, by name, as text, in reading order."""
        named: Mapping[str, Any] = {
            "where": self.where,
            "got": self.got,
            "wanted": self.wanted,
            "next": self.next_step,
        }
        return {name: str(value) for name, value in named.items() if value is not None}

    def __str__(self) -> str:
        return "\n".join([self.what, *(f"  {name}: {value}" for name, value in self.facts().items())])

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.__dict__)


def _rebuild(kind: type[RagstoneError], attributes: dict[str, Any]) -> RagstoneError:
    error = kind.__new__(kind)
    Exception.__init__(error, attributes["what"])
    error.__dict__.update(attributes)
    return error


class UsageError(RagstoneError):
    """The caller asked for something that cannot be: a bad argument, an unknown name."""


class ConfigError(RagstoneError):
    """A setting is missing, misspelt or impossible."""


class ContractError(RagstoneError):
    """Data does not match its TableSpec, or a table is not as its contract says."""


class BadInputError(RagstoneError):
    """One source item cannot be taken in; it is set aside and its neighbours go on."""


class TooLargeError(BadInputError):
    """What was sent is larger than is taken in at all; it was not read to its end."""


class DeletionGuardError(RagstoneError):
    """A run would delete more of a source than the guard allows."""


class QualityGateError(RagstoneError):
    """A gate rule failed: nothing was appended. `failed_rules` are the rules as written; `report` the report's path."""

    def __init__(self, what: str, *, failed_rules: tuple[str, ...], report: str, **facts: Any) -> None:
        super().__init__(what, **facts)
        self.failed_rules = failed_rules
        self.report = report


class IndexGateError(RagstoneError):
    """A built index failed its verification and was not published. `failed_checks` names them."""

    def __init__(self, what: str, *, failed_checks: tuple[str, ...], **facts: Any) -> None:
        super().__init__(what, **facts)
        self.failed_checks = failed_checks


class IndexIncompatibleError(RagstoneError):
    """An index does not fit this service: another model, a broken checksum, an unreadable file."""


class NotFoundError(RagstoneError):
    """The thing asked for does not exist, or this principal may not know that it does."""


class ConflictError(RagstoneError):
    """What was asked contradicts what is there, such as new content for a document that was deleted."""


class UnauthenticatedError(RagstoneError):
    """A key was shown that nobody here has; a caller without any key is not an error."""


class ForbiddenError(RagstoneError):
    """This principal may not do this."""


class DependencyUnavailableError(RagstoneError):
    """Redis, Java, a jar, the model or another thing we stand on is not there or does not answer."""


class DeadlineExceededError(DependencyUnavailableError):
    """A call ran past its deadline and was given up."""


class RetrievalUnavailableError(DependencyUnavailableError):
    """A question cannot be answered now: the online store does not answer in time, or nothing is indexed."""


class GenerationError(DependencyUnavailableError):
    """The language model gave no answer that can be used; `reason` is one of late, failed, empty, uncited."""

    def __init__(self, what: str, *, reason: str, **facts: Any) -> None:
        super().__init__(what, **facts)
        self.reason = reason


EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_GATE_BLOCKED, EXIT_DEPENDENCY = 0, 1, 2, 3, 4

# Most specific first: the first kind that matches decides.
_EXIT_CODES: tuple[tuple[type[RagstoneError], int], ...] = (
    (UsageError, EXIT_USAGE),
    (ConfigError, EXIT_USAGE),
    (QualityGateError, EXIT_GATE_BLOCKED),
    (IndexGateError, EXIT_GATE_BLOCKED),
    (DependencyUnavailableError, EXIT_DEPENDENCY),
    (RagstoneError, EXIT_FAILED),
)


def exit_code(error: BaseException) -> int:
    """Return the process exit code for an error; anything unforeseen is 1."""
    return next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), EXIT_FAILED)
