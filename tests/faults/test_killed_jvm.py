"""The JVM is killed in the middle of a write, at seeded points: after its so-and-so-manieth file below the lake."""

from __future__ import annotations

import random
import subprocess
import time

import psutil
import pytest

from tests.faults.worlds import World, branch

pytestmark = pytest.mark.spark
SEED = 4
POINTS_IN_FULL = 20
_LOOK_S = 0.002


def files_of(world: World) -> int:
    """Return how many files there are below the lake, half-written ones included."""
    return sum(path.is_file() for path in world.settings.lake_root.rglob("*"))


def run_until(world: World, files: int) -> int:
    """Run until there are so many files, kill the JVM there, and return the exit code of the run."""
    run = world.start()
    while run.poll() is None and files_of(world) < files:
        time.sleep(_LOOK_S)
    for child in _javas(run):
        child.kill()
    code = run.wait()
    assert not psutil.wait_procs(world.processes(), timeout=60)[1]
    return code


def _javas(run: subprocess.Popen[str]) -> list[psutil.Process]:
    try:
        children = psutil.Process(run.pid).children(recursive=True)
        return [child for child in children if child.name() == "java"]
    except psutil.NoSuchProcess:
        return []


def points(clean: World, count: int) -> list[int]:
    """Return numbers of files, ascending, between the first and the last that a clean run leaves."""
    return sorted(random.Random(SEED).sample(range(1, files_of(clean)), count))


def check(origin: World, clean: World, home, kills: list[int]) -> None:
    world = branch(origin, home)
    killed = 0
    for files in kills:
        killed += run_until(world, files) != 0
        world.readable_rows()
    assert killed > 0
    assert world.run() == 0, world.told
    assert world.rows() == clean.rows()


def test_runs_killed_three_times_in_a_row_end_as_a_clean_one(origin, clean, tmp_path):
    check(origin, clean, tmp_path / "home", points(clean, 3))


@pytest.mark.full
@pytest.mark.parametrize("point", range(POINTS_IN_FULL))
def test_a_run_killed_anywhere_is_made_good_by_the_next(origin, clean, tmp_path, point):
    check(origin, clean, tmp_path / "home", [points(clean, POINTS_IN_FULL)[point]])
