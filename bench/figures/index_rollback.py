"""Seconds from the wish to roll an index back until a service searches the older version, against the 1 s it may take.

Both versions have every chunk; each turn rolls back, and then forward again in the same way. The reader that follows is
in this process, and looks as soon as the pointer has flipped: what a service waits before it looks is left out.
"""

from __future__ import annotations

from functools import partial
from statistics import median

from bench import made_up
from bench.harness import ROUNDS, Measurement, Scale, check_equal, tell, wall_s
from bench.homes import temporary_home
from ragstone.embedding.load import embedding_spec
from ragstone.runtime.settings import AbstainSettings, Settings
from serving.index import build, publish
from serving.index.follower import IndexFollower
from serving.index.snapshot import open_current

_ALLOWED_S = 1.0
_TURNS = 3


def measure(scale: Scale) -> Measurement:
    """Return the wall seconds of a flip (ours) and what it may take (the other side)."""
    count = scale.pick(small=10_000, full=100_000)
    with temporary_home() as settings:
        versions = _two_versions(settings, count)
        follower = IndexFollower(settings, embedding_spec(settings).encoder_hash)
        took, told = [], []
        for _ in range(ROUNDS):
            seconds = []
            for version in versions * _TURNS:
                seconds.append(wall_s(partial(_flip, settings, follower, version)))
                told.append((follower.current().manifest.version, version))
            took.append(median(seconds))
        check_equal(all(served == wanted for served, wanted in told), "version that is searched after each flip")
        manifest = open_current(settings).manifest
    size_mb = sum(file.size_bytes for file in manifest.files.values()) / 1e6
    note = (
        f"median of {2 * _TURNS} flips a round, {count} chunks, {manifest.factory}; every file of the version is read "
        f"and held against its checksum twice, {size_mb:.0f} MB each time: before the flip, and by the reader"
    )
    return Measurement(tuple(took), (_ALLOWED_S,) * ROUNDS, "s", goal=1.0, better="lower", note=note)


def _two_versions(settings: Settings, count: int) -> tuple[str, str]:
    """Publish an index of made-up chunks, and then one that abstains otherwise, and return both, the older first."""
    tell(f"  building two indexes of {count} chunks")
    spec, chunk_ids = embedding_spec(settings), made_up.ids(count, seed=4)
    texts = made_up.texts(count)
    made_up.write_chunks(settings.lake_root, texts, chunk_ids)
    made_up.write_embeddings(settings.lake_root, spec, texts, chunk_ids, made_up.vectors(count, spec.dim))
    build.run(settings, "bench")
    older = open_current(settings).manifest.version
    build.run(settings.model_copy(update={"abstain": AbstainSettings()}), "bench")
    return older, open_current(settings).manifest.version


def _flip(settings: Settings, follower: IndexFollower, version: str) -> None:
    publish.rollback(settings, version)
    follower.refresh()
