"""`eval`: how well the product, as configured, finds the judged documents of a set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Final

from ragstone.runtime.errors import UsageError
from ragstone.runtime.logging import get_logger
from ragstone.runtime.settings import Settings
from serving.deadline import Deadline
from serving.evaluation.beir import BeirSet, joined_by_title, read_beir
from serving.evaluation.corpus_home import CorpusHome, Pipeline, corpus_home
from serving.evaluation.measures import ndcg, recall, reciprocal_rank
from serving.retrieval.gate import DropReason
from serving.retrieval.retriever import Found

_DEPTH: Final = 100
_SHALLOW: Final = 10


@dataclass(frozen=True)
class Evaluation:
    """What `eval` found; each measure is the mean over the judged queries."""

    data_set: str
    documents: int
    chunks: int
    queries: int
    ndcg_at_10: float
    mrr_at_10: float
    recall_at_10: float
    recall_at_100: float
    index_version: str
    encoder_hash: str


def evaluate(
    settings: Settings, folder: Path, run_pipeline: Pipeline, *, home: Path | None = None, join_titles: bool = False
) -> Evaluation:
    """Return the measures of a BEIR folder, its documents taken in by `run_pipeline` into a home of their own.

    A document scores as its best chunk. With `join_titles`, documents of one title are taken as one. Raises what
    `read_beir` and the pipeline raise, and UsageError when no query is judged.
    """
    beir = joined_by_title(read_beir(folder)) if join_titles else read_beir(folder)
    if not beir.judgements:
        raise UsageError("the set judges no query", where=str(folder), got="no judgement above 0", wanted="some")
    with corpus_home(settings, beir, run_pipeline, home) as corpus:
        return _measure(beir, corpus)


def _measure(beir: BeirSet, corpus: CorpusHome) -> Evaluation:
    rankings = [(_ranking(corpus, query_id, query.text), judged) for query_id, query, judged in beir.judged()]
    manifest = corpus.snapshot.manifest
    result = Evaluation(
        data_set=beir.name,
        documents=len(beir.documents),
        chunks=manifest.count,
        queries=len(rankings),
        ndcg_at_10=fmean(ndcg(ranked, judged, _SHALLOW) for ranked, judged in rankings),
        mrr_at_10=fmean(reciprocal_rank(ranked, judged, _SHALLOW) for ranked, judged in rankings),
        recall_at_10=fmean(recall(ranked, judged, _SHALLOW) for ranked, judged in rankings),
        recall_at_100=fmean(recall(ranked, judged, _DEPTH) for ranked, judged in rankings),
        index_version=manifest.version,
        encoder_hash=manifest.encoder_hash,
    )
    get_logger(__name__).info("evaluated", data_set=result.data_set, ndcg_at_10=round(result.ndcg_at_10, 4))
    return result


def _ranking(corpus: CorpusHome, query_id: str, query: str) -> list[str]:
    """Return the ids of the 100 best documents, best first: as many chunks are retrieved as that takes."""
    vector = corpus.retriever.embed(query)
    k = _DEPTH
    while True:
        deadline = Deadline.after_ms(corpus.settings.serving.deadline_ms)
        found = corpus.retriever.find(corpus.snapshot, vector, corpus.principal, k, deadline)
        best = _best_by_document(found)
        if len(best) > _DEPTH or len(found.hits) < k:
            break
        k *= 2
    ordered = sorted((-score, corpus.names[document]) for document, score in best.items())
    # As BEIR does it: where queries are documents of the corpus, none is an answer to itself.
    return [name for _, name in ordered if name != query_id][:_DEPTH]


def _best_by_document(found: Found) -> dict[str, float]:
    scored = [(hit.document.document_id, hit.score) for hit in found.hits]
    # A chunk that was dropped because its text had been found already stands for its document all the same.
    scored += [(drop.document_id, drop.score) for drop in found.drops if drop.reason is DropReason.DUPLICATE]
    best: dict[str, float] = {}
    for document, score in scored:
        best[document] = max(score, best.get(document, -1.0))
    return best
