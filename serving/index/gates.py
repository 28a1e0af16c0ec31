"""The gates before publishing: what a built snapshot must pass before it is served, and what becomes of one that fails.

Beside the checks of its files (`serving/index/verify.py`): the audits of its rows were accepted, its counts reconcile
with the lake, what is online is what the lake holds, and golden questions find no less than in the index served now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ragstone.contracts.state import AsOf
from ragstone.lake.index_audit import living_counts, living_documents, unaccepted_rows
from ragstone.runtime.errors import IndexGateError, IndexIncompatibleError
from ragstone.runtime.logging import get_logger
from ragstone.runtime.metrics import INDEX_REFUSED
from ragstone.runtime.settings import Settings
from serving.index.files import GOLDEN_FILE
from serving.index.golden import (
    GoldenAnswer,
    GoldenQuestion,
    ask_golden,
    mean_recall,
    read_answers,
    read_golden,
    write_answers,
)
from serving.index.manifest import GateResult, IndexManifest, file_record, read_manifest, write_manifest
from serving.index.pointer import read_pointer
from serving.index.snapshot import IndexSnapshot
from serving.index.verify import CHECKS, sampled_chunks

_NO_FAULT: Final = "no fault"
_TOLD: Final = 3
# Means of the same recalls may differ in their last digits.
_ROUNDING: Final = 1e-9


@dataclass(frozen=True)
class Candidate:
    """A snapshot to be judged, opened from its folder."""

    folder: Path
    snapshot: IndexSnapshot
    settings: Settings

    @property
    def manifest(self) -> IndexManifest:
        """Return the manifest the snapshot was opened with."""
        return self.snapshot.manifest

    @property
    def bounds(self) -> AsOf:
        """Return the bounds within which the lake has the state that was indexed."""
        return AsOf(known_by=self.manifest.known_by, written_by=self.manifest.built_at)


Gate = Callable[[Candidate], GateResult]


def judge(candidate: Candidate) -> tuple[GateResult, ...]:
    """Return what every gate says, checks of the files first. Raises DependencyUnavailableError when Redis is away."""
    checks = [_checked(name, check(candidate.snapshot, candidate.settings)) for name, check in CHECKS.items()]
    return (*checks, *(gate(candidate) for gate in GATES.values()))


def judge_new(candidate: Candidate) -> IndexManifest:
    """Ask a new snapshot the golden questions, judge it, and record both in its folder, passed or not."""
    questions, files = read_golden(candidate.settings), dict(candidate.manifest.files)
    if questions:
        write_answers(candidate.folder, ask_golden(candidate.settings, candidate.snapshot, questions))
        files[GOLDEN_FILE] = file_record(candidate.folder / GOLDEN_FILE)
    return record(candidate, judge(candidate), files)


def record(
    candidate: Candidate, gates: tuple[GateResult, ...], files: Mapping[str, object] | None = None
) -> IndexManifest:
    """Write what the gates said into the manifest of a snapshot that is not served, and return it."""
    changes = {"gates": gates, "files": files or candidate.manifest.files}
    manifest = candidate.manifest.model_copy(update=changes)
    write_manifest(candidate.folder, manifest)
    return manifest


def refuse(version: str, gates: tuple[GateResult, ...]) -> None:
    """Raise IndexGateError when a gate failed, naming each that did, with an alarm in log and metrics."""
    failed = [gate for gate in gates if gate.outcome == "failed"]
    if not failed:
        return
    refusal = IndexGateError(
        "an index failed its gates and was not published",
        failed_checks=tuple(gate.name for gate in failed),
        where=f"index {version}",
        got="; ".join(f"{gate.name}: {gate.got}" for gate in failed),
        wanted="; ".join(f"{gate.name}: {gate.wanted}" for gate in failed),
        next_step=f"ragstone index explain {version}; what is served stays as it was. Another index is built when its"
        f" sources change; once what failed is mended otherwise, ragstone index publish {version} judges this one anew",
    )
    INDEX_REFUSED.labels("gate").inc()
    get_logger(__name__).error("index_refused", what=refusal.what, failed=refusal.failed_checks, **refusal.facts())
    raise refusal


def quality_gate(candidate: Candidate) -> GateResult:
    """Refuse living rows of runs whose quality report did not accept them, or that no report tells of."""
    manifest, root = candidate.manifest, candidate.settings.lake_root
    found = unaccepted_rows(root, manifest.space, manifest.dim, candidate.bounds)
    told = [
        f"{each.rows} rows of {each.dataset} by run {each.run_id}, {'blocked' if each.audited else 'never audited'}"
        for each in found
    ]
    return _result("quality", told, "every row by a run whose quality report accepted it")


def counts_gate(candidate: Candidate) -> GateResult:
    """Refuse an index whose rows are not the living chunks with a vector, less those the manifest says it left out."""
    manifest, root = candidate.manifest, candidate.settings.lake_root
    living = living_counts(root, manifest.space, manifest.dim, candidate.bounds)
    got = (candidate.snapshot.rows().num_rows, dict(manifest.left_out))
    wanted = (living.indexed, living.left_out)
    return GateResult(
        name="counts", outcome="passed" if got == wanted else "failed", got=_counted(*got), wanted=_counted(*wanted)
    )


def online_gate(candidate: Candidate) -> GateResult:
    """Refuse when sampled chunks, or their documents, are other ones online than in the lake."""
    wanted = "sampled rows online as they are in the lake"
    if candidate.manifest.known_by is not None:
        return _not_applied("online", "an index of the past, of which nothing is online", wanted)
    # Feast takes seconds to import, which commands that judge nothing need not pay.
    from ragstone.features.sampled_audit import sampled_differences

    sample = sampled_chunks(candidate.snapshot, candidate.settings)
    found = sampled_differences(candidate.settings, sample)
    if found is None:
        return _not_applied("online", "nothing was ever materialized", wanted)
    return _result("online", found, wanted)


def golden_gate(candidate: Candidate) -> GateResult:
    """Refuse an index that finds less for golden questions than the served one, by more than the margin.

    Held against each other are the questions that both were asked in the same words, and of their judged documents
    those that live: a deletion is no loss.
    """
    settings, margin = candidate.settings, candidate.settings.index.golden_margin
    wanted = f"recall@10 of golden questions at most {margin} below that of the index served now"
    questions = read_golden(settings)
    if not questions:
        return _not_applied("golden", f"no golden questions in {settings.golden_root}", wanted)
    served, before = _served_answers(settings)
    answers, living = read_answers(candidate.folder), living_documents(settings.lake_root, candidate.bounds)
    common = [each for each in questions if each.judged & living and _same_words(each, answers, before)]
    if not common:
        return _not_applied("golden", _why_not_held(served, answers), wanted)
    got, least = mean_recall(common, answers, living), mean_recall(common, before, living) - margin
    return GateResult(
        name="golden",
        outcome="passed" if got >= least - _ROUNDING else "failed",
        got=f"recall@10 {got:.4f} over {len(common)} golden questions",
        wanted=f"at least {least:.4f}: {margin} below index {served}",
    )


GATES: Final[Mapping[str, Gate]] = {
    "quality": quality_gate,
    "counts": counts_gate,
    "online": online_gate,
    "golden": golden_gate,
}


def _checked(name: str, finding: str | None) -> GateResult:
    outcome = "passed" if finding is None else "failed"
    return GateResult(name=name, outcome=outcome, got=finding or _NO_FAULT, wanted=_NO_FAULT)


def _result(name: str, faults: list[str], wanted: str) -> GateResult:
    more = f"; and {len(faults) - _TOLD} more" if len(faults) > _TOLD else ""
    got = "; ".join(faults[:_TOLD]) + more
    return GateResult(name=name, outcome="failed" if faults else "passed", got=got or _NO_FAULT, wanted=wanted)


def _not_applied(name: str, got: str, wanted: str) -> GateResult:
    return GateResult(name=name, outcome="not_applied", got=got, wanted=wanted)


def _counted(rows: int, left_out: Mapping[str, int]) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(left_out.items()))
    return f"{rows} rows, left out: {reasons or 'none'}"


def _served_answers(settings: Settings) -> tuple[str | None, dict[str, GoldenAnswer]]:
    """Return the version served now and its golden answers; neither when nothing is served, or it is broken."""
    try:
        pointer = read_pointer(settings.index_root)
        if pointer is None:
            return None, {}
        folder = settings.index_root / pointer.version
        recorded = read_manifest(folder).files.get(GOLDEN_FILE)
        if recorded is None or file_record(folder / GOLDEN_FILE) != recorded:
            return pointer.version, {}
        return pointer.version, read_answers(folder)
    except (IndexIncompatibleError, OSError) as broken:
        get_logger(__name__).warning("served_index_broken", what=str(broken))
        return None, {}


def _same_words(question: GoldenQuestion, *asked: Mapping[str, GoldenAnswer]) -> bool:
    found = [answers.get(question.question_id) for answers in asked]
    return all(answer is not None and answer.text == question.text for answer in found)


def _why_not_held(served: str | None, answers: Mapping[str, GoldenAnswer]) -> str:
    if not answers:
        return "the index was built before there were golden questions"
    if served is None:
        return "no index is served yet to hold the golden questions against"
    return f"index {served}, which is served now, was asked none of the golden questions of living documents"
