"""A small feature repository whose definitions a test can change: one view, one service of two features."""

from __future__ import annotations

import shutil
from pathlib import Path

from ragstone.features.apply import apply
from ragstone.runtime.settings import Settings

DEFINITIONS = """
from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, ValueType
from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
from feast.table_format import DeltaFormat
from feast.types import Int32, Int64, String

entity = Entity(name="item", join_keys=["item_id"], value_type=ValueType.STRING)
source = SparkSource(name="items", path="/nowhere", table_format=DeltaFormat(), timestamp_field="event_timestamp")
view = FeatureView(
    name="items",
    entities=[entity],
    schema=[Field(name="item_id", dtype=String), Field(name="size", dtype=Int32), Field(name="label", dtype=String)],
    source=source,
    ttl=timedelta(0),
)
service = FeatureService(name="shop_v1", features=[view[["size", "label"]]])
"""
V2 = 'newer = FeatureService(name="shop_v2", features=[view])\n'


def open_shop(settings: Settings, repo: Path) -> Settings:
    """Return settings of a repository that is written to a folder and applied; all else is as given."""
    shutil.copytree(settings.feast.repo, repo, ignore=shutil.ignore_patterns("objects", "__pycache__"))
    shop = settings.model_copy(update={"feast": settings.feast.model_copy(update={"repo": repo})})
    declare(shop)
    apply(shop)
    return shop


def declare(settings: Settings, *changes: tuple[str, str], more: str = "") -> None:
    """Write the definitions with texts in them replaced, and more behind them."""
    text = DEFINITIONS
    for was, becomes in changes:
        assert was in text
        text = text.replace(was, becomes)
    (settings.feast.repo / "definitions.py").write_text(text + more)
