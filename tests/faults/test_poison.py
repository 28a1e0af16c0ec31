"""Documents made to do harm go through the whole pipeline beside good ones."""

from __future__ import annotations

import psutil
import pytest

from ragstone.contracts.tables import SILVER_DOCUMENTS
from ragstone.lake import quarantine, read
from tests.faults.worlds import World
from tests.spark_jobs.parsers import made_documents as made

pytestmark = [pytest.mark.spark, pytest.mark.full]

WORD = made.word([("A", ["B"])])
ENTITIES = b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><l>&b;</l>'
POISON = {
    "huge.txt": b"word " * 12_000_000,
    "zip-bomb.docx": made.with_part(WORD, "word/media/bomb.bin", b"\0" * 600_000_000),
    "xml-bomb.docx": made.with_part(WORD, "word/document.xml", ENTITIES),
    "bad.pdf": b"%PDF-1.7\n" + b"junk " * 10_000,
    "scanned.pdf": made.scanned_pdf(3),
    "deep.html": b"<html><body>" + b"<div>" * 200_000 + b"end",
    "binary.md": bytes(range(256)) * 100,
    "slow.docx": made.with_part(WORD, "word/document.xml", b"<w>" * 5_000_000),
}
GOOD = {
    "lamp.md": b"# The lamp\n\nThe lamp of the north tower is red.",
    "bell.pdf": made.pdf([["The bell of the chapel was cast in 1711 and has a crack."]]),
    "gate.docx": made.word([("The gate", ["The gate is closed at nine every evening."])]),
}


def test_poison_is_set_aside_by_name_and_its_neighbours_arrive(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    for name, content in (POISON | GOOD).items():
        (folder / name).write_bytes(content)
    home = tmp_path / "home"
    home.mkdir()
    limits = "parsing: {max_seconds: 20, max_memory_mb: 600}\n"
    (home / "conf.yaml").write_text(f"{limits}sources: {{files: {{root: '{folder}', include: ['**/*']}}}}\n")
    world = World(home, tmp_path / "run.log")

    assert world.run() == 0, world.told
    root = world.settings.lake_root
    documents = read.state(root, SILVER_DOCUMENTS, columns=("source_uri", "text")).to_pylist()
    assert {row["source_uri"] for row in documents} == set(GOOD)
    assert any("cast in 1711" in row["text"] for row in documents)
    entries = quarantine.open_entries(root).to_pylist()
    named = {name for name in POISON for entry in entries if name in (entry["payload_pointer"] or entry["item_key"])}
    assert len(entries) == len(POISON), named
    assert all("wanted" in entry["reason"] for entry in entries)
    assert not psutil.wait_procs(world.processes(), timeout=30)[1]
