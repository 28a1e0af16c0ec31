from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ragstone.features.apply import apply, diff
from ragstone.features.plan import Difference, FieldChange
from ragstone.features.repository import STORE_YAML
from ragstone.features.store import open_store
from ragstone.runtime.errors import ConflictError
from ragstone.runtime.settings import Settings
from tests.ragstone.features.shop import V2, declare, open_shop


@pytest.fixture
def shop(served: Settings, tmp_path: Path) -> Settings:
    return open_shop(served, tmp_path / "repo")


def planned(settings: Settings, name: str) -> Difference:
    return next(each for each in diff(settings) if each.name == name)


def registered(settings: Settings) -> dict[str, Any]:
    store = open_store(settings)
    return {item.name: item for item in (*store.list_feature_views(), *store.list_feature_services())}


def test_a_plan_says_what_is_added_removed_and_changed_field_by_field(shop: Settings) -> None:
    declare(shop, ("ttl=timedelta(0)", 'ttl=timedelta(days=1), description="all we sell"'), more=V2)

    assert diff(shop) == [
        Difference("FeatureService", "shop_v2", "added"),
        Difference(
            "FeatureView",
            "items",
            "changed",
            (FieldChange("description", None, "all we sell"), FieldChange("ttl", "0s", "86400s")),
        ),
    ]
    assert [each.name for each in apply(shop)] == ["shop_v2", "items"]
    assert diff(shop) == []


def test_a_feature_more_in_the_middle_moves_no_other(shop: Settings) -> None:
    declare(shop, ('Field(name="label"', 'Field(name="colour", dtype=String), Field(name="label"'))

    assert planned(shop, "items").fields == (
        FieldChange("features.colour.name", None, "colour"),
        FieldChange("features.colour.valueType", None, "STRING"),
    )
    assert apply(shop)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param(
            [('Field(name="size", dtype=Int32), ', ""), ('"size", "label"', '"label"')],
            "size would be gone",
            id="a feature is removed",
        ),
        pytest.param([('"size", "label"', '"label"')], "size would be gone", id="the service drops a feature"),
        pytest.param(
            [("dtype=Int32", "dtype=Int64")], "size would be Int64 of item by item_id, not Int32", id="it is retyped"
        ),
        pytest.param(
            [('"item_id"', '"sku"')], "label would be String of item by sku, not String of item by item_id", id="key"
        ),
        pytest.param([('name="item"', 'name="thing"')], "String of thing by item_id", id="the entity is another"),
        pytest.param(
            [('service = FeatureService(name="shop_v1"', 'service = FeatureService(name="other_v1"')],
            "label would be gone; size would be gone",
            id="the service is removed",
        ),
    ],
)
def test_what_would_break_a_registered_service_is_refused_until_a_newer_version_is_declared(
    shop: Settings, changes: list[tuple[str, str]], told: str
) -> None:
    before = registered(shop)
    declare(shop, *changes)
    with pytest.raises(ConflictError) as refused:
        apply(shop)

    assert "shop_v1" in refused.value.what
    assert told in str(refused.value.got)
    assert "declare shop_v2 beside it" in str(refused.value.next_step)
    assert registered(shop) == before
    assert planned(shop, "shop_v1").successor is None

    declare(shop, *changes, more=V2)

    assert planned(shop, "shop_v1").successor == "shop_v2"
    apply(shop)
    assert diff(shop) == []


def test_an_older_version_is_no_successor(shop: Settings) -> None:
    declare(shop, more=V2)
    apply(shop)
    declare(shop)

    with pytest.raises(ConflictError, match="shop_v2"):
        apply(shop)


_READER = """
import pathlib, sys, time
from feast.errors import FeatureServiceNotFoundException
from ragstone.features.store import open_store
from ragstone.runtime.settings import load_settings

store = open_store(load_settings(home=pathlib.Path(sys.argv[1]), feast={"repo": pathlib.Path(sys.argv[2])}))
read = lambda name: sorted(store.get_online_features(store.get_feature_service(name), [{"item_id": "a"}]).to_dict())
print(read("shop_v1"), flush=True)
try:
    read("shop_v2")
except FeatureServiceNotFoundException:
    print("not yet", flush=True)
while True:
    assert read("shop_v1") == ["item_id", "label", "size"]
    try:
        print(read("shop_v2"), flush=True)
        break
    except FeatureServiceNotFoundException:
        time.sleep(0.05)
"""


def test_a_running_process_reads_a_new_version_of_a_service_while_the_old_one_goes_on(shop: Settings) -> None:
    yaml = shop.feast.repo / STORE_YAML
    yaml.write_text(yaml.read_text().replace("cache_ttl_seconds: 5", "cache_ttl_seconds: 1"))
    arguments = [sys.executable, "-c", _READER, str(shop.home), str(shop.feast.repo)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        try:
            assert reader.stdout.readline().strip() == "['item_id', 'label', 'size']"
            assert reader.stdout.readline().strip() == "not yet"

            declare(shop, ('Field(name="label"', 'Field(name="colour", dtype=String), Field(name="label"'), more=V2)
            apply(shop)

            assert reader.stdout.readline().strip() == "['colour', 'item_id', 'label', 'size']"
            assert reader.wait(60) == 0
        finally:
            reader.kill()


def test_a_view_that_no_service_serves_may_go(shop: Settings) -> None:
    unserved = 'unserved = FeatureView(name="unserved", entities=[entity], source=source, schema=view.schema)\n'
    declare(shop, more=unserved)
    apply(shop)
    declare(shop)

    assert [(each.name, each.change) for each in apply(shop)] == [("unserved", "removed")]


def test_a_service_may_take_the_same_features_from_another_view(shop: Settings) -> None:
    declare(shop, ('    name="items"', '    name="things"'))

    assert {each.name for each in apply(shop)} == {"items", "things", "shop_v1"}
