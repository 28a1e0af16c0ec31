from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from ragstone.runtime.errors import UsageError
from ragstone.runtime.redis_server import stop_redis
from ragstone.runtime.settings import Settings, load_settings
from serving.evaluation.evaluate import Evaluation, evaluate
from tests.serving.evaluation.pipeline import ParagraphPipeline

KILN = "The old kiln at Aldermoor was fired with beech wood."
FERRY = "The ferry to Skarvik leaves at seven every morning."
BEES = "A hive of the upland bee winters on fourteen kilograms of honey."
DOCUMENTS = {"kiln": KILN, "ferry/1": f"{FERRY}\n\nIts crew is from the islands.", "bees": BEES, "copy of bees": BEES}
QUERIES = {
    "q-kiln": "With which wood was the old kiln at Aldermoor fired?",
    "q-ferry": "When does the ferry to Skarvik leave?",
    "q-bees": "On how much honey does the upland bee winter?",
    "kiln": KILN,
    "not judged": "What is this?",
}


def beir_folder(folder: Path, judgements: Mapping[str, Mapping[str, int]]) -> Path:
    folder.mkdir()
    corpus = [{"_id": name, "title": "", "text": text} for name, text in DOCUMENTS.items()]
    queries = [{"_id": name, "text": text} for name, text in QUERIES.items()]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, corpus)))
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    lines = [
        f"{query}\t{document}\t{grade}" for query, judged in judgements.items() for document, grade in judged.items()
    ]
    (folder / "qrels.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *lines]))
    return folder


@dataclass(frozen=True)
class Measured:
    """Measures judgements of the one set, whose documents are taken in once for all tests of this module."""

    settings: Settings
    folder: Path
    pipeline: ParagraphPipeline

    def by(self, name: str, judgements: Mapping[str, Mapping[str, int]]) -> Evaluation:
        folder = beir_folder(self.folder / name, judgements)
        return evaluate(self.settings, folder, self.pipeline, home=self.folder / "own")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    folder = tmp_path_factory.mktemp("evaluation")
    return Measured(load_settings(home=folder / "home"), folder, ParagraphPipeline())


def test_a_document_scores_as_its_best_chunk_and_copies_share_it(measured: Measured) -> None:
    judgements = {"q-kiln": {"kiln": 1}, "q-ferry": {"ferry/1": 1}, "q-bees": {"bees": 1, "copy of bees": 1}}
    found = measured.by("right", judgements)
    measures = (found.ndcg_at_10, found.mrr_at_10, found.recall_at_10, found.recall_at_100)
    assert measures == (1.0, 1.0, 1.0, 1.0)
    assert (found.data_set, found.documents, found.chunks, found.queries) == ("right", 4, 5, 3)


def test_what_is_not_the_first_costs(measured: Measured) -> None:
    # Both copies are equally near, so the one whose name comes later is second: one query of two loses a rank.
    found = measured.by("second", {"q-kiln": {"kiln": 1}, "q-bees": {"copy of bees": 1}})
    assert found.mrr_at_10 == pytest.approx((1 + 1 / 2) / 2)
    assert found.ndcg_at_10 == pytest.approx((1 + 1 / math.log2(3)) / 2)
    assert found.recall_at_10 == 1.0


def test_a_query_that_is_a_document_is_no_answer_to_itself(measured: Measured) -> None:
    assert measured.by("itself", {"kiln": {"kiln": 1}}).recall_at_100 == 0.0


def test_the_set_has_a_home_of_its_own_and_is_taken_in_once(settings: Settings, tmp_path: Path) -> None:
    elsewhere = settings.redis.model_copy(update={"url": SecretStr("redis://127.0.0.1:1")})
    settings = settings.model_copy(update={"redis": elsewhere})
    folder, pipeline = beir_folder(tmp_path / "set", {"q-kiln": {"kiln": 1}}), ParagraphPipeline()
    first, second = evaluate(settings, folder, pipeline), evaluate(settings, folder, pipeline)
    assert first == second
    [own] = {run.home for run in pipeline.runs}
    assert own.parent == settings.home / "eval"
    assert (own / "index").is_dir()
    assert not (settings.home / "index").exists()
    assert stop_redis(pipeline.runs[0]) is False


def test_files_of_an_earlier_set_leave_a_home_that_is_used_again(measured: Measured) -> None:
    corpus = measured.folder / "own" / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    (corpus / "99999.txt").write_text("of an earlier set")
    measured.by("again", {"q-kiln": {"kiln": 1}})
    assert sorted(path.name for path in corpus.iterdir()) == [f"0000{number}.txt" for number in range(4)]


def test_a_set_without_a_judgement_is_refused(measured: Measured) -> None:
    with pytest.raises(UsageError):
        measured.by("without", {})
