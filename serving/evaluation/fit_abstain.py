"""`tune abstain`: fit the model that decides whether there is an answer, on questions of which half have none.

Every question is asked with its answer there, and without: once with the documents that hold it taken away, and once
with all that share a title with these, as parts of one work do. The first is harder, because the rest of the work is
near in words and meaning. What is reported was measured on questions about works that the fit had not seen.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

from ragstone.runtime.errors import UsageError
from ragstone.runtime.settings import AbstainSettings, Settings
from ragstone.text.normalise import normalise
from serving.deadline import Deadline
from serving.evaluation.beir import BeirQuery, BeirSet, read_beir
from serving.evaluation.corpus_home import CorpusHome, Pipeline, corpus_home
from serving.retrieval.abstain import FEATURES, abstain_features

MOST_WRONG_ANSWERS: Final = 0.03

_FOLDS: Final = 5
_FEWEST_QUESTIONS: Final = 50
# Next to no regularisation: three features and hundreds of questions.
_INVERSE_PENALTY: Final = 1e3
_DIGITS: Final = 4

Floats = npt.NDArray[np.float64]
Questions = Sequence[tuple[BeirQuery, Mapping[str, int]]]


def fit_abstain(
    settings: Settings,
    folder: Path,
    run_pipeline: Pipeline,
    *,
    home: Path | None = None,
    most_wrong_answers: float = MOST_WRONG_ANSWERS,
) -> AbstainSettings:
    """Return the abstain model fitted on a BEIR folder with answers, its documents in a home of their own.

    The threshold is the lowest that answers at most `most_wrong_answers` of the questions whose whole work is missing.
    `evidence` names the data set, the counts, the areas under the curve and the rates of both kinds of error. Raises
    UsageError when the set has too few questions with answers.
    """
    beir = read_beir(folder)
    questions = [(query, judged) for _, query, judged in beir.judged() if query.answers]
    if len(questions) < _FEWEST_QUESTIONS:
        raise UsageError(
            "the set has too few questions with answers to fit on",
            where=str(folder),
            got=f"{len(questions)} judged queries that have `answers`",
            wanted=f"at least {_FEWEST_QUESTIONS}",
        )
    with corpus_home(settings, beir, run_pipeline, home) as corpus:
        return _fitted(_observe(corpus, beir, questions), beir.name, corpus, most_wrong_answers)


@dataclass(frozen=True)
class _Observations:
    """Features of the same n questions, each (n, 3) in the order of FEATURES; and the work that answers each."""

    answerable: Floats
    without_work: Floats
    without_answer: Floats
    works: npt.NDArray[np.str_]


def _observe(corpus: CorpusHome, beir: BeirSet, questions: Questions) -> _Observations:
    work_of = {name: document.title or name for name, document in beir.documents.items()}
    chunk_counts = Counter(corpus.snapshot.rows()["document_id"].to_pylist())
    rows: list[list[list[float]]] = [[], [], []]
    for query, judged in questions:
        works = {work_of[name] for name in judged}
        answer = {document_id for document_id, name in corpus.names.items() if name in judged}
        work = {document_id for document_id, name in corpus.names.items() if work_of[name] in works}
        vector = corpus.retriever.embed(query.text)
        for kind, lost in zip(rows, (set(), work, answer), strict=True):
            depth = sum(chunk_counts[document_id] for document_id in lost)
            kind.append(_features(corpus, query.text, vector, lost, depth))
    named = np.array([min(work_of[name] for name in judged) for _, judged in questions])
    answerable, without_work, without_answer = map(np.array, rows)
    return _Observations(answerable, without_work, without_answer, named)


def _features(
    corpus: CorpusHome, question: str, vector: npt.NDArray[np.float32], lost: Collection[str], depth: int
) -> list[float]:
    """Return the features of a question whose hits in `lost` documents, at most `depth`, are passed over."""
    settings, snapshot = corpus.settings, corpus.snapshot
    k = settings.serving.top_k
    deadline = Deadline.after_ms(settings.serving.deadline_ms)
    found = corpus.retriever.find(snapshot, vector, corpus.principal, k + depth, deadline)
    kept = [hit for hit in found.hits if hit.document.document_id not in lost][:k]
    features = abstain_features(normalise(question), kept, snapshot.idf)
    return [features[name] for name in FEATURES]


def _fitted(observed: _Observations, data_set: str, corpus: CorpusHome, most_wrong_answers: float) -> AbstainSettings:
    answerable, without_work, without_answer = _unseen_probabilities(observed)
    threshold = _threshold(without_work, most_wrong_answers)
    model = _logistic().fit(*_rows(observed))
    coefficients = zip(FEATURES, model.coef_[0].tolist(), strict=True)
    return AbstainSettings(
        intercept=round(float(model.intercept_[0]), _DIGITS),
        coefficients={name: round(weight, _DIGITS) for name, weight in coefficients},
        threshold=threshold,
        evidence={
            "data_set": data_set,
            "model": corpus.snapshot.manifest.model_id,
            "top_k": corpus.settings.serving.top_k,
            "questions": len(answerable),
            "wrong_refusals": _share(answerable < threshold),
            "whole_work_missing": {
                "auc": _auc(answerable, without_work),
                "auc_of_cosine_alone": _auc(_cosines(observed.answerable), _cosines(observed.without_work)),
                "wrong_answers": _share(without_work >= threshold),
            },
            "only_the_answer_missing": {
                "auc": _auc(answerable, without_answer),
                "auc_of_cosine_alone": _auc(_cosines(observed.answerable), _cosines(observed.without_answer)),
                "wrong_answers": _share(without_answer >= threshold),
            },
        },
    )


def _rows(observed: _Observations, chosen: npt.NDArray[np.int64] | None = None) -> tuple[Floats, Floats, Floats]:
    """Return features, labels and weights of some questions, asked in all three ways; both labels weigh the same."""
    kinds = (observed.answerable, observed.without_work, observed.without_answer)
    picked = [kind if chosen is None else kind[chosen] for kind in kinds]
    count = len(picked[0])
    return np.vstack(picked), np.repeat([1.0, 0.0, 0.0], count), np.repeat([2.0, 1.0, 1.0], count)


def _unseen_probabilities(observed: _Observations) -> tuple[Floats, Floats, Floats]:
    """Return the probabilities of all rows, each by a model fitted on questions about other works."""
    kinds = (observed.answerable, observed.without_work, observed.without_answer)
    answerable, without_work, without_answer = (np.empty(len(kind)) for kind in kinds)
    for fitted, asked in GroupKFold(_FOLDS).split(observed.works, groups=observed.works):
        model = _logistic().fit(*_rows(observed, fitted))
        for kind, probabilities in zip(kinds, (answerable, without_work, without_answer), strict=True):
            probabilities[asked] = model.predict_proba(kind[asked])[:, 1]
    return answerable, without_work, without_answer


def _logistic() -> LogisticRegression:
    return LogisticRegression(C=_INVERSE_PENALTY, max_iter=5_000)


def _threshold(unanswerable: Floats, most_wrong_answers: float) -> float:
    """Return the lowest threshold, in whole ten-thousandths, that lets through at most that share."""
    falling = np.sort(unanswerable)[::-1]
    allowed = int(most_wrong_answers * len(falling))
    step = 10**_DIGITS
    return min(1.0, (math.floor(float(falling[allowed]) * step) + 1) / step)


def _cosines(features: Floats) -> Floats:
    cosines: Floats = features[:, FEATURES.index("cosine")]
    return cosines


def _share(of: npt.NDArray[np.bool_]) -> float:
    return round(float(of.mean()), _DIGITS)


def _auc(answerable: Floats, unanswerable: Floats) -> float:
    labels = np.repeat([1, 0], [len(answerable), len(unanswerable)])
    return round(float(roc_auc_score(labels, np.concatenate([answerable, unanswerable]))), _DIGITS)
