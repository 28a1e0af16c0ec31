from __future__ import annotations

from collections.abc import Iterator

import pytest
from feast import Entity, FeatureService, FeatureView

from feature_repo.objects.feature_views import FEAST_TYPES
from ragstone.contracts import names
from ragstone.features.apply import declared_objects
from ragstone.features.views import View, views
from ragstone.runtime.redis_server import stop_redis
from ragstone.runtime.settings import Settings


@pytest.fixture
def declared(settings: Settings) -> Iterator[dict[str, Entity | FeatureView | FeatureService]]:
    yield {item.name: item for item in declared_objects(settings)}
    stop_redis(settings)


def test_every_view_has_the_features_and_types_of_its_table(settings: Settings, declared: dict) -> None:
    for view in views(settings):
        schema = {field.name: field.dtype for field in declared[view.name].schema}
        assert schema == _wanted_schema(view)
        assert declared[view.name].batch_source.path == str(settings.lake_root / view.spec.path)
        assert declared[view.name].batch_source.table_format is not None


def test_services_name_existing_features_one_by_one(declared: dict) -> None:
    services = [item for item in declared.values() if isinstance(item, FeatureService)]

    assert {service.name for service in services} == {
        names.CHAT_SERVICE,
        names.INDEX_SERVICE,
        names.TRAINING_SERVICE,
        names.RERANKER_SERVICE,
    }
    for service in services:
        for projection in service.feature_view_projections:
            known = {field.name for field in declared[projection.name].features}
            assert {field.name for field in projection.features} <= known


def test_a_service_names_one_embedding_space(settings: Settings, declared: dict) -> None:
    (settings.lake_root / "silver" / "embeddings_older").mkdir(parents=True)
    found = {item.name: item for item in declared_objects(settings)}

    assert names.embedding_view("older") in found
    used = {view.name for name in (names.INDEX_SERVICE, names.TRAINING_SERVICE) for view in _projections(found[name])}
    assert names.embedding_view("older") not in used
    assert names.embedding_view(settings.embedding.space) in used


def test_no_feature_has_the_name_of_another_or_of_a_key(settings: Settings) -> None:
    # Several embedding spaces share their names: a service names one of them.
    declared = views(settings)
    features = [feature for view in declared for feature in view.features]

    assert len(features) == len(set(features))
    assert not set(features) & {view.join_key for view in declared}


def _wanted_schema(view: View) -> dict:
    features = {column.feature or column.name: FEAST_TYPES[column.type] for column in view.columns}
    return {view.join_key: FEAST_TYPES["string"], **features}


def _projections(service: FeatureService) -> list:
    return service.feature_view_projections
