"""A byte that differs, wherever in a snapshot: no reader takes it up, and the last good index is searched on."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from ragstone.embedding.load import embedding_spec
from ragstone.runtime.errors import IndexIncompatibleError
from ragstone.runtime.settings import Settings
from serving.index import build
from serving.index.files import CURRENT_FILE, GOLDEN_FILE, MANIFEST_FILE, sha256_of
from serving.index.follower import IndexFollower
from serving.index.pointer import Pointer, write_pointer
from serving.index.purge import renew_pointer
from serving.index.snapshot import open_current
from tests.serving.index.lake import BETWEEN, EAST, NORTH, many, put, unit

REGIONS = 64
# One in so many regions is tried by the short test.
SAMPLED = 16


@pytest.fixture
def following(settings: Settings) -> IndexFollower:
    """A reader of a first version, when a second one is published."""
    put(settings, NORTH, EAST)
    build.run(settings, "run-1")
    reader = IndexFollower(settings, embedding_spec(settings).encoder_hash)
    settings.golden_root.mkdir()
    (settings.golden_root / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "Which tower has a bell?"}))
    (settings.golden_root / "qrels.tsv").write_text("q\tnotes/east.md\t1\n")
    put(settings, BETWEEN, *many(20))
    build.run(settings, "run-2")
    return reader


def regions(path: Path, chance: random.Random) -> Iterator[int]:
    """Yield one position in each region of a file, and its first and last."""
    size = path.stat().st_size
    bounds = sorted({size * number // REGIONS for number in range(REGIONS + 1)})
    yield from (0, size - 1)
    yield from (chance.randrange(start, end) for start, end in pairwise(bounds))


def check_every(settings: Settings, following: IndexFollower, chosen: random.Random, share: int) -> None:
    good = following.current()
    folder = settings.index_root / open_current(settings).manifest.version
    names = sorted(path.name for path in folder.iterdir())
    assert {GOLDEN_FILE, MANIFEST_FILE} < set(names)
    for name in names:
        path = folder / name
        whole = path.read_bytes()
        positions = list(regions(path, chosen))
        for position in chosen.sample(positions, max(2, len(positions) // share)):
            broken = bytearray(whole)
            broken[position] ^= 1 << chosen.randrange(8)
            path.write_bytes(broken)
            renew_pointer(settings)
            where = f"{name}, byte {position}"
            assert following.refresh() is False, where
            assert following.current() is good, where
            assert following.left_aside(), where
            assert [hit.chunk_id for hit in following.current().search(unit(1), 1)] == [NORTH.chunk_id]
        path.write_bytes(whole)
    renew_pointer(settings)
    assert following.refresh() is True
    assert following.left_aside() is None


def test_a_flipped_bit_anywhere_in_a_snapshot_is_not_taken_up(settings: Settings, following: IndexFollower) -> None:
    check_every(settings, following, random.Random(5), share=SAMPLED)


@pytest.mark.full
def test_a_flipped_bit_in_every_region_of_a_snapshot_is_not_taken_up(
    settings: Settings, following: IndexFollower
) -> None:
    check_every(settings, following, random.Random(6), share=1)


def test_a_flipped_bit_in_current_never_leads_to_another_answer(settings: Settings, following: IndexFollower) -> None:
    current = settings.index_root / CURRENT_FILE
    whole, published = current.read_bytes(), open_current(settings).manifest.version
    chance = random.Random(7)
    for position in range(len(whole)):
        broken = bytearray(whole)
        broken[position] ^= 1 << chance.randrange(7)
        current.write_bytes(broken)
        try:
            assert open_current(settings).manifest.version == published
        except IndexIncompatibleError:
            continue
    current.write_bytes(whole)


def test_the_manifest_of_another_model_is_left_aside(settings: Settings, following: IndexFollower) -> None:
    good = following.current()
    version = open_current(settings).manifest.version
    manifest = settings.index_root / version / MANIFEST_FILE
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "encoder_hash": "of another model"}))
    renew_pointer(settings)
    assert following.refresh() is False
    assert "SHA-256" in (following.left_aside() or "")
    # Even one that is published with its own checksum.
    write_pointer(settings.index_root, Pointer(version=version, manifest_sha256=sha256_of(manifest)))
    assert following.refresh() is False
    assert "of another model" in (following.left_aside() or "")
    assert following.current() is good
