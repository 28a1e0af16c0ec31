"""The interface as the service describes it. `python -m tests.serving.test_openapi` writes the snapshot anew."""

import json
import sys
from pathlib import Path

from ragstone.runtime.settings import Settings
from serving.app import create_app

SNAPSHOT = Path(__file__).with_name("openapi.json")


def described() -> str:
    return json.dumps(create_app(Settings()).openapi(), indent=2, sort_keys=True) + "\n"


def test_the_interface_is_the_one_that_was_agreed():
    assert described() == SNAPSHOT.read_text("utf-8")


def test_the_service_serves_its_description(service):
    assert service.get("/openapi.json").json() == json.loads(SNAPSHOT.read_text("utf-8"))


def test_every_operation_tells_how_it_refuses():
    document = json.loads(described())
    operations = [operation for path in document["paths"].values() for operation in path.values()]

    assert {operation["operationId"] for operation in operations} == {
        "chat",
        "search",
        "chunk",
        "push_documents",
        "document_status",
        "delete_document",
        "lineage",
        "feedback",
        "live",
        "ready",
        "metrics",
    }
    assert all("application/problem+json" in operation["responses"]["default"]["content"] for operation in operations)


if __name__ == "__main__":
    SNAPSHOT.write_text(described(), "utf-8")
    sys.exit(0)
