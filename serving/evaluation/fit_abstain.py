"""`tune abstain`: fit the model that decides whether there is an answer, on questions of which half have none.

Half of the questions, drawn by a seed, lose the documents that answer them and those that share a title with these, as
parts of one work do. What is reported was measured on questions about works that the fit had not seen.
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

MOST_WRONG_ANSWERS: Final = 0.05

_FOLDS: Final = 5
_FEWEST_QUESTIONS: Final = 100
# Next to no regularisation: three features and hundreds of questions.
_INVERSE_PENALTY: Final = 1e3
_DIGITS: Final = 4

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Observations:
    """One row per question: features (n, 3) in the order of FEATURES, whether it has an answer, and its work."""

    features: Floats
    answerable: npt.NDArray[np.bool_]
    works: npt.NDArray[np.str_]


def fit_abstain(
    settings: Settings,
    folder: Path,
    run_pipeline: Pipeline,
    *,
    home: Path | None = None,
    seed: int = 1,
    most_wrong_answers: float = MOST_WRONG_ANSWERS,
) -> AbstainSettings:
    """Return the abstain model fitted on a BEIR folder with answers, its documents in a home of their own.

    The threshold is the one with the fewest wrong refusals among those that answer at most `most_wrong_answers` of the
    questions without an answer. `evidence` names the data set, the counts, the area under the curve and both rates.
    Raises UsageError when the set has too few questions with answers.
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
        return _fitted(_Examination(corpus, beir, questions, seed), most_wrong_answers)


class _Examination:
    """The questions of a set, asked with what half of them must not find taken away."""

    def __init__(
        self, corpus: CorpusHome, beir: BeirSet, questions: Sequence[tuple[BeirQuery, Mapping[str, int]]], seed: int
    ) -> None:
        self.corpus = corpus
        self.data_set = beir.name
        self.seed = seed
        self._questions = questions
        self._works = {name: document.title or name for name, document in beir.documents.items()}
        self._chunk_counts = Counter(corpus.snapshot.rows()["document_id"].to_pylist())
        drawn = np.random.default_rng(seed).permutation(len(questions))
        self._unanswerable = set(drawn[: len(questions) // 2].tolist())

    def observe(self, *, whole_works: bool) -> _Observations:
        """Ask every question; those without an answer lose the judged documents, or the whole works these are of."""
        rows, works = [], []
        for number, (query, judged) in enumerate(self._questions):
            lost = self._lost(judged, whole_works) if number in self._unanswerable else set()
            rows.append(self._features(query.text, lost))
            works.append(min(self._works[name] for name in judged))
        answerable = [number not in self._unanswerable for number in range(len(self._questions))]
        return _Observations(np.array(rows), np.array(answerable), np.array(works))

    def _lost(self, judged: Collection[str], whole_works: bool) -> set[str]:
        works = {self._works[name] for name in judged}
        return {
            document_id
            for document_id, name in self.corpus.names.items()
            if name in judged or (whole_works and self._works[name] in works)
        }

    def _features(self, question: str, lost: Collection[str]) -> list[float]:
        settings, snapshot = self.corpus.settings, self.corpus.snapshot
        k = settings.serving.top_k
        deadline = Deadline.after_ms(settings.serving.deadline_ms)
        enough = k + sum(self._chunk_counts[document_id] for document_id in lost)
        vector = self.corpus.retriever.embed(question)
        found = self.corpus.retriever.find(snapshot, vector, self.corpus.principal, enough, deadline)
        kept = [hit for hit in found.hits if hit.document.document_id not in lost][:k]
        features = abstain_features(normalise(question), kept, snapshot.idf)
        return [features[name] for name in FEATURES]


def _fitted(examination: _Examination, most_wrong_answers: float) -> AbstainSettings:
    observed, harder = (examination.observe(whole_works=whole_works) for whole_works in (True, False))
    unseen = _unseen_probabilities(observed.features, observed)
    threshold = _threshold(unseen, observed.answerable, most_wrong_answers)
    model = _logistic().fit(observed.features, observed.answerable)
    coefficients = zip(FEATURES, model.coef_[0].tolist(), strict=True)
    return AbstainSettings(
        intercept=round(float(model.intercept_[0]), _DIGITS),
        coefficients={name: round(weight, _DIGITS) for name, weight in coefficients},
        threshold=threshold,
        evidence={
            "data_set": examination.data_set,
            "model": examination.corpus.snapshot.manifest.model_id,
            "top_k": examination.corpus.settings.serving.top_k,
            "seed": examination.seed,
            "answerable": int(observed.answerable.sum()),
            "unanswerable": int((~observed.answerable).sum()),
            "auc": _auc(unseen, observed),
            "auc_of_cosine_alone": _auc(observed.features[:, FEATURES.index("cosine")], observed),
            **_rates(unseen, observed.answerable, threshold),
            # The rest of the work that held the answer is still there, near in words and meaning.
            "rest_of_the_work_kept": _harder(observed, harder, threshold),
        },
    )


def _harder(observed: _Observations, harder: _Observations, threshold: float) -> dict[str, float]:
    unseen = _unseen_probabilities(harder.features, observed)
    return {"auc": _auc(unseen, harder), **_rates(unseen, harder.answerable, threshold)}


def _unseen_probabilities(features: Floats, observed: _Observations) -> Floats:
    """Return the probability of each row of `features` by a model fitted on observations of other works."""
    probabilities = np.empty(len(features))
    for fitted, asked in GroupKFold(_FOLDS).split(features, groups=observed.works):
        model = _logistic().fit(observed.features[fitted], observed.answerable[fitted])
        probabilities[asked] = model.predict_proba(features[asked])[:, 1]
    return probabilities


def _logistic() -> LogisticRegression:
    return LogisticRegression(C=_INVERSE_PENALTY, max_iter=5_000)


def _threshold(probabilities: Floats, answerable: npt.NDArray[np.bool_], most_wrong_answers: float) -> float:
    """Return the lowest threshold, rounded up, that answers at most that share of what has no answer."""
    unanswerable = np.sort(probabilities[~answerable])[::-1]
    allowed = int(most_wrong_answers * len(unanswerable))
    step = 10**_DIGITS
    return min(1.0, (math.floor(float(unanswerable[allowed]) * step) + 1) / step)


def _rates(probabilities: Floats, answerable: npt.NDArray[np.bool_], threshold: float) -> dict[str, float]:
    answered = probabilities >= threshold
    return {
        "wrong_answers": round(float(answered[~answerable].mean()), _DIGITS),
        "wrong_refusals": round(float((~answered[answerable]).mean()), _DIGITS),
    }


def _auc(scores: Floats, observed: _Observations) -> float:
    return round(float(roc_auc_score(observed.answerable, scores)), _DIGITS)
