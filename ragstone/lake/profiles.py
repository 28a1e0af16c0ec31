"""What the columns that rules can be about look like, told by DuckDB from the rows that audits would judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ragstone.contracts.tables import BRONZE_DOCUMENTS, SILVER_CHUNKS, TableSpec
from ragstone.lake import read

_EMBEDDINGS: Final = "silver.embeddings"
# Columns of texts with more values than this are told of by their form, not by their values.
MOST_VALUES: Final = 8

# The measured columns that a table can be profiled for, as SQL over its rows, named as the audits name them.
_COLUMNS: Final[Mapping[str, Mapping[str, str]]] = {
    BRONZE_DOCUMENTS.name: {
        name: name for name in ("document_id", "content_hash", "size_bytes", "mime_type", "landing_uri")
    },
    SILVER_CHUNKS.name: {
        **{name: name for name in ("chunk_id", "document_id", "text_hash", "chunker_hash", "token_count")},
        # White space as Java's \\s has it.
        "visible_length": r"length(regexp_replace(text, '[ \t\n\x0B\f\r]', '', 'g'))",
    },
    _EMBEDDINGS: {
        **{name: name for name in ("chunk_id", "embedding_key", "model_hash", "dim")},
        "vector_dim": "len(embedding)",
        "l2_norm": "sqrt(list_dot_product(embedding::DOUBLE[], embedding::DOUBLE[]))",
    },
}


@dataclass(frozen=True)
class ColumnProfile:
    """One column: how many rows have no value, how many values there are, and what they are like.

    `lowest`, `highest` and `mean` are of numbers, and None for texts. `values` has the texts when there are at most 8,
    `hex_length` the length that all texts share when each is a hexadecimal number.
    """

    name: str
    missing: int
    distinct: int
    lowest: float | None = None
    highest: float | None = None
    mean: float | None = None
    values: tuple[str, ...] = ()
    hex_length: int | None = None


@dataclass(frozen=True)
class TableProfile:
    """The rows of one dataset that audits would judge, column by column."""

    dataset: str
    rows: int
    columns: tuple[ColumnProfile, ...]


def profiled_datasets() -> tuple[str, ...]:
    """Return the datasets that can be profiled: those that have audits."""
    return tuple(_COLUMNS)


def profile(root: Path, dataset: str, spec: TableSpec) -> TableProfile:
    """Return the profile of a dataset, whose rows stand in the table of `spec`. Raises KeyError for another dataset."""
    expressions = _COLUMNS[dataset]
    living = "content_hash IS NOT NULL" if dataset == BRONZE_DOCUMENTS.name else "active"
    measured = f"SELECT {', '.join(f'{sql} AS {name}' for name, sql in expressions.items())} FROM t WHERE {living}"
    facts = ", ".join(_facts(name) for name in expressions)
    [row] = read.query(root, f"WITH m AS ({measured}) SELECT count(*) AS row_count, {facts} FROM m", t=spec).to_pylist()
    return TableProfile(dataset, row["row_count"], tuple(_column(name, row[name]) for name in expressions))


def _facts(name: str) -> str:
    number = f"TRY_CAST({name} AS DOUBLE)"
    is_text = f"any_value(typeof({name})) = 'VARCHAR'"
    return f"""{{
        'is_text': coalesce({is_text}, TRUE),
        'missing': count(*) - count({name}),
        'distinct': count(DISTINCT {name}),
        'lowest': min({number}), 'highest': max({number}), 'mean': avg({number}),
        'texts': list_sort(list(DISTINCT {name}::VARCHAR) FILTER ({name} IS NOT NULL))[:{MOST_VALUES + 1}],
        'shortest': min(length({name}::VARCHAR)), 'longest': max(length({name}::VARCHAR)),
        'is_hex': coalesce(bool_and(regexp_full_match({name}::VARCHAR, '[0-9a-f]+')), FALSE)
    }} AS {name}"""


def _column(name: str, facts: Mapping[str, Any]) -> ColumnProfile:
    if not facts["is_text"]:
        numbers = {key: facts[key] for key in ("lowest", "highest", "mean")}
        return ColumnProfile(name, facts["missing"], facts["distinct"], **numbers)
    texts = tuple(facts["texts"] or ())
    is_hash = facts["is_hex"] and facts["shortest"] == facts["longest"]
    return ColumnProfile(
        name,
        facts["missing"],
        facts["distinct"],
        values=texts if len(texts) <= MOST_VALUES else (),
        hex_length=facts["shortest"] if is_hash else None,
    )
