"""The contract with Feast: for every type, a column's bytes are what Feast's own conversion and store would write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from feast.type_map import python_values_to_proto_values
from feast.value_type import ValueType

from ragstone.features.value_bytes import encoder

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIMES = pa.timestamp("us", tz="UTC")
MOMENTS = [
    datetime(2026, 1, 1, 12, 30, 15, 999_999, tzinfo=UTC),
    EPOCH,
    EPOCH - timedelta(microseconds=1),
    EPOCH - timedelta(days=20_000, microseconds=5),
]
INT32 = [0, 1, -1, 127, 128, 2**31 - 1, -(2**31)]
INT64 = [*INT32, 2**53 + 1, 2**63 - 1, -(2**63)]
FLOATS = [0.0, -0.0, 1.5, -2.25, float("inf"), float("-inf"), float("nan"), 1e-40]
TEXTS = ["", "a", "ä€🜚", "x" * 127, "x" * 128, "x" * 16_384, "a\0b"]
BYTES = [b"", b"\0\xff", b"x" * 300]

SCALARS: dict[ValueType, tuple[pa.DataType, list[Any]]] = {
    ValueType.STRING: (pa.string(), TEXTS),
    ValueType.BYTES: (pa.binary(), BYTES),
    ValueType.INT32: (pa.int32(), INT32),
    ValueType.INT64: (pa.int64(), INT64),
    ValueType.FLOAT: (pa.float32(), FLOATS),
    ValueType.DOUBLE: (pa.float64(), FLOATS),
    ValueType.BOOL: (pa.bool_(), [True, False]),
    ValueType.UNIX_TIMESTAMP: (TIMES, MOMENTS),
}
LISTS = {ValueType[f"{kind.name}_LIST"]: (pa.list_(type_), values) for kind, (type_, values) in SCALARS.items()}


def encoded(kind: ValueType, column: pa.Array) -> list[bytes]:
    encode = encoder(kind, column.type)
    assert encode is not None
    return encode(column)


def by_feast(kind: ValueType, column: pa.Array) -> list[bytes]:
    return [v.SerializeToString() for v in python_values_to_proto_values(column.to_numpy(zero_copy_only=False), kind)]


def columns_of(kind: ValueType) -> list[pa.Array]:
    """Return columns with every value, with nulls among them, of nulls alone, without a row, and a part of one."""
    if kind in SCALARS:
        type_, values = SCALARS[kind]
    else:
        type_, elements = LISTS[kind]
        values = [elements, [], elements[:1], [elements[-1]] * 200]
    # A lone null among integers makes Feast read the column as floats, which hold no more than 53 bits.
    mild = [value for value in values if not (kind is ValueType.INT64 and abs(value) > 2**53)]
    whole = pa.array(values, type_)
    return [whole, pa.array([None, *mild, None], type_), pa.nulls(3, type_), pa.array([], type_), whole.slice(1, 2)]


@pytest.mark.parametrize("kind", [*SCALARS, *LISTS], ids=lambda kind: kind.name)
def test_a_column_has_the_bytes_that_feast_gives_it(kind: ValueType) -> None:
    for column in columns_of(kind):
        assert encoded(kind, column) == by_feast(kind, column)


def test_a_null_within_a_list_is_what_feast_makes_of_it() -> None:
    texts = pa.array([["a", None, ""], [None]], pa.list_(pa.string()))
    assert encoded(ValueType.STRING_LIST, texts) == by_feast(ValueType.STRING_LIST, texts)

    vectors = pa.array([[0.5, None], [1.0]], pa.list_(pa.float32()))
    assert encoded(ValueType.FLOAT_LIST, vectors) == by_feast(ValueType.FLOAT_LIST, vectors)


def test_integers_beyond_a_float_keep_every_bit_beside_a_null() -> None:
    # Feast itself would round 2**53 + 1 here.
    (number, null) = encoded(ValueType.INT64, pa.array([2**53 + 1, None], pa.int64()))

    assert number == by_feast(ValueType.INT64, pa.array([2**53 + 1], pa.int64()))[0]
    assert null == b""


@pytest.mark.parametrize(
    ("kind", "type_"),
    [
        (ValueType.MAP, pa.map_(pa.string(), pa.string())),
        (ValueType.STRING_SET, pa.list_(pa.string())),
        (ValueType.INT32, pa.int64()),
        (ValueType.FLOAT_LIST, pa.list_(pa.float64())),
        (ValueType.FLOAT_LIST, pa.list_(pa.float32(), 4)),
    ],
    ids=str,
)
def test_types_that_are_not_known_have_no_encoder(kind: ValueType, type_: pa.DataType) -> None:
    assert encoder(kind, type_) is None
