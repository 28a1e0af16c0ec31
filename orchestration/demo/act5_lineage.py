"""Act 5: one answer, followed from its sentence to the bytes of its source file."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from typing import Any

from orchestration.demo.service import Service
from orchestration.demo.stage import Act, Panel, Stage, check, shortened


def play(stage: Stage, service: Service, answer: dict[str, Any]) -> Act:
    """Show the lineage of an answer, link by link. Raises DemoError where a link does not hold."""
    began = time.perf_counter()
    lineage = service.lineage(answer["answer_id"])
    evidence = lineage["evidence"][0]
    citation, chunk, document, bronze = (evidence[name] for name in ("citation", "chunk", "document", "bronze"))
    landed = (stage.settings.landing_root / bronze["landing_uri"]).read_bytes()
    source = (stage.corpus / citation["source_uri"]).read_bytes()
    check(evidence["quote_matches"], "the quote is not what the silver text has there", got=False, wanted=True)
    landed_hash = hashlib.sha256(landed).hexdigest()
    check(
        landed_hash == bronze["content_hash"] == document["content_hash"],
        "the landing object is not what the document was parsed from",
        got=landed_hash,
        wanted=document["content_hash"],
    )
    check(source == landed, "the source file is not what was landed", got=len(source), wanted=len(landed))
    span = f"characters {citation['char_start']} to {citation['char_end']}"
    rows = [
        ("answer", lineage["answer_id"], shortened(lineage["answer"])),
        ("sentence", span, shortened(citation["quote"])),
        ("chunk", citation["chunk_id"], f"number {chunk['ordinal']} of its document, written by run {chunk['run_id']}"),
        ("silver document", document["document_id"], f"parsed by {document['parser']} {document['parser_version']}"),
        ("bronze version", bronze["content_hash"][:32], f"{bronze['change']} at {bronze['fetched_at']}"),
        ("landing object", bronze["landing_uri"], f"{len(landed):,} bytes, batch {bronze['landing_batch']}"),
        ("source file", citation["source_uri"], "the same bytes, now"),
    ]
    rules = _rules(lineage["quality"])
    panels = (
        Panel(f"Where the answer to “{lineage['question']}” comes from", ("link", "identity", "what it is"), rows),
        Panel("The rules that its rows had to pass", ("dataset", "gate rules passed", "row rules passed"), rules),
    )
    said = ("every link was followed and compared: quote, silver text, landing object, source file",)
    return Act(5, "The lineage of one answer", panels, said, time.perf_counter() - began)


def _rules(outcomes: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    """Return the count of rules passed, by dataset. Raises DemoError when one failed, or when there is none."""
    check(bool(outcomes), "no quality rule stands behind the answer", got=0, wanted="at least 1")
    failed = [row["rule"] for row in outcomes if row["outcome"] != "passed"]
    check(not failed, "a quality rule behind the answer failed", got=failed, wanted="every rule passed")
    passed = Counter((row["dataset"], row["kind"]) for row in outcomes)
    datasets = sorted({row["dataset"] for row in outcomes})
    return [(dataset, passed[dataset, "gate"], passed[dataset, "row"]) for dataset in datasets]
