"""What can be told about Dockerfile and docker-compose.yml without an engine to run them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ragstone.runtime.setting_layers import from_environment
from ragstone.runtime.settings import Settings
from ragstone.runtime.telemetry import OPT_OUTS

REPOSITORY = Path(__file__).resolve().parents[2]
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text("utf-8")
# What the compose file takes from its user.
GIVEN = {"REDIS_PASSWORD": "secret", "RAGSTONE_LLM_URL": "", "RAGSTONE_LLM_API_KEY": ""}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    text = (REPOSITORY / "docker-compose.yml").read_text("utf-8")
    filled = re.sub(r"\$\{(\w+)(?::[?-]([^}]*))?\}", lambda found: GIVEN.get(found[1], found[2] or ""), text)
    composed: dict[str, Any] = yaml.safe_load(filled)["services"]
    return composed


def image_environment() -> dict[str, str]:
    last_stage = DOCKERFILE.rpartition("FROM ")[2]
    return dict(re.findall(r"^(?:ENV| {3}) (\w+)=(\S+)", last_stage, flags=re.MULTILINE))


def test_the_compose_file_follows_the_compose_specification():
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stdout


def test_every_variable_answers_to_a_setting(services: dict[str, Any]):
    layer = from_environment(Settings, {**image_environment(), **services["api"]["environment"]})

    settings = Settings.model_validate(layer)

    assert settings.redis.url is not None
    assert settings.redis.url.get_secret_value() == "redis://:secret@redis:6379/0"
    assert settings.sources["documents"].root == Path("/documents")
    assert (str(settings.home), settings.serving.host, settings.llm.url) == ("/var/lib/ragstone", "0.0.0.0", None)


def test_service_and_pipeline_share_image_home_and_store(services: dict[str, Any]):
    api, pipeline = services["api"], services["pipeline"]

    for shared in ("image", "environment", "volumes"):
        assert api[shared] == pipeline[shared]
    assert (api["command"], pipeline["command"], pipeline["restart"]) == (["serve"], ["run"], "no")


@pytest.mark.parametrize("name", ["api", "pipeline"])
def test_our_containers_have_no_rights_and_write_to_their_home_alone(services: dict[str, Any], name: str):
    service = services[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert [volume for volume in service["volumes"] if not volume.endswith(":ro")] == ["home:/var/lib/ragstone"]
    assert re.search(r"^USER 10001$", DOCKERFILE, flags=re.MULTILINE)


def test_nothing_is_published_beyond_this_machine(services: dict[str, Any]):
    ports = [port for service in services.values() for port in service.get("ports", [])]

    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_the_image_copies_what_exists_and_all_of_the_packages():
    copied = [
        name
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, flags=re.MULTILINE)
        for name in line.split()
    ]
    ignored = (REPOSITORY / ".dockerignore").read_text("utf-8").splitlines()
    kept = {line.removeprefix("!") for line in ignored if line.startswith("!")}

    assert [name for name in copied if not (REPOSITORY / name).exists()] == []
    assert {name.partition("/")[0] for name in copied} == kept
    assert {"ragstone", "feature_repo", "spark_jobs", "serving", "orchestration", "conf"} <= set(copied)


def test_libraries_are_told_not_to_report_home_before_any_process_starts():
    told = image_environment()

    assert {name: told.get(name) for name in ("ORT_DISABLE_TELEMETRY", "HF_HUB_OFFLINE")} == {
        name: OPT_OUTS[name] for name in ("ORT_DISABLE_TELEMETRY", "HF_HUB_OFFLINE")
    }
