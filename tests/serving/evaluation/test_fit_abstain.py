from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ragstone.runtime.errors import UsageError
from ragstone.runtime.settings import Settings
from serving.evaluation.fit_abstain import MOST_WRONG_ANSWERS, _threshold, fit_abstain
from tests.serving.evaluation.pipeline import ParagraphPipeline

PLACES = ["Aldermoor", "Brackwater", "Caldbeck", "Dunmere", "Eastholm", "Farrowdale"]
PLACES += ["Glenskerry", "Harrowick", "Inverloch", "Jarlsund", "Kestrelby", "Lowmoor"]
FACTS = (
    ("The harbour of {} was dug in the year {}.", "In which year was the harbour of {} dug?"),
    ("The school of {} teaches {} children to read.", "How many children does the school of {} teach to read?"),
    ("The bell of {} weighs {} pounds and is cracked.", "How many pounds does the bell of {} weigh?"),
    ("The mill of {} ground {} sacks of rye in a week.", "How many sacks of rye did the mill of {} grind in a week?"),
    ("The library of {} keeps {} maps of the coast.", "How many maps of the coast does the library of {} keep?"),
    ("The forest of {} is home to {} grey owls.", "How many grey owls live in the forest of {}?"),
    ("The bridge of {} stands on {} arches of granite.", "On how many arches of granite does the bridge of {} stand?"),
    ("The market of {} has {} stalls in summer.", "How many stalls does the market of {} have in summer?"),
    ("The orchard of {} bears {} kinds of pears.", "How many kinds of pears does the orchard of {} bear?"),
)


def places_folder(folder: Path, places: list[str]) -> Path:
    """Write a set in which each place is a work of nine documents, each with its question."""
    folder.mkdir()
    corpus, queries, qrels = [], [], ["query-id\tcorpus-id\tscore"]
    for place in places:
        for number, (fact, question) in enumerate(FACTS):
            name, answer = f"{place}-{number}", str(100 + len(corpus))
            corpus.append({"_id": name, "title": place, "text": fact.format(place, answer)})
            queries.append({"_id": f"q-{name}", "text": question.format(place), "answers": [answer]})
            qrels.append(f"q-{name}\t{name}\t1")
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, corpus)))
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    (folder / "qrels.tsv").write_text("\n".join(qrels))
    return folder


def test_a_fit_tells_questions_with_an_answer_from_those_without(settings: Settings, tmp_path: Path) -> None:
    model = fit_abstain(settings, places_folder(tmp_path / "places", PLACES), ParagraphPipeline())
    assert set(model.coefficients) == {"cosine", "chunk_coverage", "sentence_coverage"}
    assert (model.evidence["data_set"], model.evidence["questions"]) == ("places", 108)
    far, near = model.evidence["whole_work_missing"], model.evidence["only_the_answer_missing"]
    assert far["auc"] > 0.95
    assert far["wrong_answers"] <= MOST_WRONG_ANSWERS
    # Its neighbours tell of the same place, so a question is harder to refuse while they are there.
    assert near["auc"] <= far["auc"]
    assert near["wrong_answers"] >= far["wrong_answers"]


def test_too_few_questions_are_refused_before_anything_is_taken_in(settings: Settings, tmp_path: Path) -> None:
    pipeline = ParagraphPipeline()
    with pytest.raises(UsageError) as refused:
        fit_abstain(settings, places_folder(tmp_path / "places", PLACES[:5]), pipeline)
    assert refused.value.got == "45 judged queries that have `answers`"
    assert pipeline.runs == []


def test_the_threshold_lets_through_no_more_wrong_answers_than_allowed() -> None:
    # Of ten without an answer one may pass: the threshold stands just above the second largest, 0.85.
    assert _threshold(np.linspace(0.05, 0.95, 10), 0.1) == pytest.approx(0.8501)
    assert _threshold(np.linspace(0.05, 0.95, 10), 0.0) == pytest.approx(0.9501)
    assert _threshold(np.array([1.0, 0.2]), 0.0) == 1.0
