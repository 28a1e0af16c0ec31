"""What act 2 asks: five questions that name the document they must be answered from, and one without an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Question:
    """One question. `source` is the source_uri of the expected document; `says` stands in a right answer."""

    text: str
    source: str
    says: str


ANSWERABLE: Final = (
    Question("What is raised when 0.0 is raised to a negative power?", "topics/power.txt", "ZeroDivisionError"),
    Question("Is there a limit for the length of integer literals?", "topics/integers.txt", "available memory"),
    Question("In which order does deletion of a target list delete each target?", "topics/del.txt", "left to right"),
    Question("Who holds the intellectual property of the DuckDB project?", "readmes/duckdb.md", "DuckDB Foundation"),
    Question("What is the last version of redis-py that supports Python 3.7?", "readmes/redis.md", "redis-py 5.0"),
)

# Its words are those of the corpus: integer, literal, power, function, raise, class; only the answer is not there.
UNANSWERABLE: Final = "Which power company raised the price of the first class train to the function in 1987?"

SOURCES: Final = frozenset(question.source for question in ANSWERABLE)
