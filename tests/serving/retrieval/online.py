"""Rows put straight into the online store, in Feast's own layout, so that a test can say what the gate will see."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from feast.protos.feast.types.Value_pb2 import StringList, Value

from ragstone.features.redis_layout import encode_time, entity_key, feature_field, time_field
from ragstone.features.views import ACCESS, CHUNK_METADATA, STATS, View
from ragstone.runtime.redis_server import online_client
from ragstone.runtime.settings import Settings
from tests.factories import make_access_row, make_chunk_row
from tests.serving.index.lake import Item


def put_online(settings: Settings, *items: Item, acl: tuple[str, ...] | None = ("public",)) -> None:
    """Write chunk, access and title of living items."""
    for item in items:
        put_row(settings, CHUNK_METADATA, make_chunk_row(item.text, item.source_uri))
        put_row(settings, ACCESS, make_access_row(item.source_uri, acl=None if acl is None else list(acl)))
        title = {"document_id": item.document_id, "title": f"Title of {item.source_uri}", "source_uri": item.source_uri}
        put_row(settings, STATS, {**title, "event_timestamp": make_access_row()["event_timestamp"]})


def put_row(settings: Settings, view: View, row: Mapping[str, Any]) -> None:
    """Write a row of a view's table; columns that the row does not have are null online."""
    stored = {time_field(view.name): encode_time(row["event_timestamp"])}
    for column, feature in zip(view.columns, view.features, strict=True):
        stored[feature_field(view.name, feature)] = _value(row.get(column.name)).SerializeToString()
    with online_client(settings) as client:
        client.hset(entity_key(settings.feast.project, view.join_key, row[view.join_key]), mapping=stored)


def forget(settings: Settings, view: View, key: str) -> None:
    """Remove an entity's hash."""
    with online_client(settings) as client:
        client.delete(entity_key(settings.feast.project, view.join_key, key))


def _value(value: Any) -> Value:
    if value is None:
        return Value()
    if isinstance(value, bool):
        return Value(bool_val=value)
    if isinstance(value, int):
        return Value(int64_val=value)
    if isinstance(value, datetime):
        return Value(unix_timestamp_val=int(value.timestamp()))
    return Value(string_val=value) if isinstance(value, str) else Value(string_list_val=StringList(val=value))
