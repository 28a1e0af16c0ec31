"""Arrow columns as the bytes Feast stores: one serialized Value per row, a column of a batch at a time.

Half of what Feast's own materialization costs is making a message per value. Here the wire format is written by hand
for texts and vectors, where it is a tag, a length and the content; numbers, flags and times come again so often that
Feast's messages of them are remembered; what is rare is converted by Feast's own function. A contract test holds all of
them equal to what Feast writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from feast.protos.feast.types.Value_pb2 import StringList, Value
from feast.type_map import NULL_TIMESTAMP_INT_VALUE, python_values_to_proto_values
from feast.value_type import ValueType

Encoder = Callable[[pa.Array], list[bytes]]

_LENGTH_DELIMITED: Final = 2
_NULL: Final = b""
_REMEMBERED: Final = 65_536


def encoder(value_type: ValueType, arrow_type: pa.DataType) -> Encoder | None:
    """Return what turns a column of an Arrow type into Feast's bytes, None for a pair of types not known here."""
    known = _ENCODERS.get(value_type)
    return known[1] if known is not None and known[0](arrow_type) else None


def stored_bytes(column: pa.Array) -> list[bytes]:
    """Return what Feast stores for a column of a table of the lake. Raises StopIteration for a type no view has."""
    return next(encode for is_type, encode in _ENCODERS.values() if is_type(column.type))(column)


def _by_feast(value_type: ValueType, column: pa.Array) -> list[bytes]:
    values = python_values_to_proto_values(column.to_numpy(zero_copy_only=False), value_type)
    return [value.SerializeToString() for value in values]


def _contents(field: str, column: pa.Array) -> list[bytes]:
    """Encode texts, or bytes: tag, length, content."""
    tag = _tag(field)
    contents = column.cast(pa.binary()).to_numpy(zero_copy_only=False)
    return [_NULL if value is None else b"%b%b%b" % (tag, _varint(len(value)), value) for value in contents]


def _remembered(encode: Callable[[Any], bytes], column: pa.Array) -> list[bytes]:
    return list(map(encode, column.to_pylist()))


def _times(column: pa.Array) -> list[bytes]:
    """Encode times in whole seconds, rounded down; unlike every other null, a null time is a number."""
    seconds = pc.floor_temporal(column, unit="second").cast(pa.timestamp("s", tz=column.type.tz)).cast(pa.int64())
    return _remembered(_time, pc.fill_null(seconds, NULL_TIMESTAMP_INT_VALUE))


def _string_lists(column: pa.Array) -> list[bytes]:
    return [_string_list(None if values is None else tuple(values)) for values in column.to_pylist()]


def _float_lists(column: pa.Array) -> list[bytes]:
    """Encode vectors: a Value that holds a FloatList that holds packed little-endian floats."""
    values = column.values
    if values.null_count:
        return _by_feast(ValueType.FLOAT_LIST, column)
    packed = memoryview(values.to_numpy().astype("<f4", copy=False)).cast("B")
    offsets = column.offsets.to_pylist()
    encoded = []
    for valid, start, end in zip(column.is_valid().to_pylist(), offsets, offsets[1:], strict=False):
        encoded.append(b"".join((_vector_head(end - start), packed[4 * start : 4 * end])) if valid else _NULL)
    return encoded


@lru_cache(maxsize=_REMEMBERED)
def _vector_head(length: int) -> bytes:
    """Return everything of an encoded vector before its elements; an empty list holds no field."""
    inner = b"" if length == 0 else bytes([1 << 3 | _LENGTH_DELIMITED]) + _varint(4 * length)
    return _tag("float_list_val") + _varint(len(inner) + 4 * length) + inner


@lru_cache(maxsize=_REMEMBERED)
def _varint(number: int) -> bytes:
    """Return an unsigned number in protobuf's base-128 form: seven bits a byte, the lowest first."""
    parts = []
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


@lru_cache
def _tag(field: str) -> bytes:
    return _varint(Value.DESCRIPTOR.fields_by_name[field].number << 3 | _LENGTH_DELIMITED)


def _message(field: str, value: Any) -> bytes:
    serialized: bytes = (Value() if value is None else Value(**{field: value})).SerializeToString()
    return serialized


def _remembering(field: str) -> Callable[[Any], bytes]:
    return lru_cache(maxsize=_REMEMBERED)(partial(_message, field))


_time: Final = _remembering("unix_timestamp_val")


@lru_cache(maxsize=_REMEMBERED)
def _string_list(values: tuple[str | None, ...] | None) -> bytes:
    # Feast stores a null among texts as an empty one.
    return _message("string_list_val", None if values is None else StringList(val=[text or "" for text in values]))


def _list_of(element: Callable[[pa.DataType], bool]) -> Callable[[pa.DataType], bool]:
    return lambda type_: bool(pa.types.is_list(type_) and element(type_.value_type))


_SCALARS: Final[tuple[tuple[ValueType, ValueType, Callable[[pa.DataType], bool], Encoder | None], ...]] = (
    (ValueType.STRING, ValueType.STRING_LIST, pa.types.is_string, partial(_contents, "string_val")),
    (ValueType.BYTES, ValueType.BYTES_LIST, pa.types.is_binary, partial(_contents, "bytes_val")),
    (ValueType.INT32, ValueType.INT32_LIST, pa.types.is_int32, partial(_remembered, _remembering("int32_val"))),
    (ValueType.INT64, ValueType.INT64_LIST, pa.types.is_int64, partial(_remembered, _remembering("int64_val"))),
    (ValueType.BOOL, ValueType.BOOL_LIST, pa.types.is_boolean, partial(_remembered, _remembering("bool_val"))),
    # Not remembered: 0.0 and -0.0 are equal, and their bytes are not.
    (ValueType.FLOAT, ValueType.FLOAT_LIST, pa.types.is_float32, None),
    (ValueType.DOUBLE, ValueType.DOUBLE_LIST, pa.types.is_float64, None),
    (ValueType.UNIX_TIMESTAMP, ValueType.UNIX_TIMESTAMP_LIST, pa.types.is_timestamp, _times),
)
_LISTS: Final = {ValueType.STRING_LIST: _string_lists, ValueType.FLOAT_LIST: _float_lists}


def _encoders() -> Iterable[tuple[ValueType, tuple[Callable[[pa.DataType], bool], Encoder]]]:
    for scalar, list_, is_type, encode in _SCALARS:
        yield scalar, (is_type, encode or partial(_by_feast, scalar))
        yield list_, (_list_of(is_type), _LISTS.get(list_) or partial(_by_feast, list_))


_ENCODERS: Final = dict(_encoders())
