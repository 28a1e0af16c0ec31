"""What an OpenLineage server hears of us through Feast; and that without one, nobody hears anything."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from pytest_httpserver import HTTPServer

from ragstone.features import materialize
from ragstone.features.store import open_store
from ragstone.features.views import views
from ragstone.runtime.settings import Settings, load_settings
from tests.ragstone.features.lake import write_history


def events(server: HTTPServer) -> list[dict[str, Any]]:
    return [json.loads(request.get_data()) for request, _ in server.log]


def named(datasets: list[dict[str, Any]]) -> set[str]:
    return {dataset["name"] for dataset in datasets}


def test_a_server_is_told_what_is_applied_and_what_is_materialized_from_what(
    served: Settings, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/api/v1/lineage", method="POST").respond_with_data(status=201)
    settings = load_settings(home=served.home, feast={"openlineage_url": httpserver.url_for("/")})
    write_history(settings)

    materialize.run(settings, "run-1")
    told = events(httpserver)
    applied = {event["job"]["name"]: event for event in told if "materialize" not in event["job"]["name"]}
    runs = [event for event in told if event["job"]["name"] == "materialize_ragstone"]
    of_chunks = next(event for event in runs if "online_store_chunk_metadata" in named(event["outputs"]))

    assert {event["job"]["namespace"] for event in told} == {settings.feast.project}
    declared = applied["feast_feature_views_ragstone"]
    assert named(declared["outputs"]) == {view.name for view in views(settings)}
    assert {"silver_chunks", "silver_document_access"} < named(declared["inputs"])
    assert "chunk_metadata" in named(applied["feature_service_chat_serving_v1"]["inputs"])
    assert of_chunks["eventType"] == "START"
    assert "silver_chunks" in named(of_chunks["inputs"])
    ended = Counter((event["run"]["runId"], event["eventType"]) for event in runs)
    assert set(ended.values()) == {1}
    assert {run for run, kind in ended if kind == "START"} == {run for run, kind in ended if kind == "COMPLETE"}


def test_a_server_that_is_not_there_stops_nothing(served: Settings) -> None:
    settings = load_settings(home=served.home, feast={"openlineage_url": "http://127.0.0.1:1"})
    write_history(settings)

    assert materialize.run(settings, "run-1").status == "ok"


def test_by_default_nobody_is_told(served: Settings, httpserver: HTTPServer) -> None:
    write_history(served)

    materialize.run(served, "run-1")

    assert open_store(served).openlineage_emitter is None
    assert events(httpserver) == []
