"""Two runs at once, and a disk that is full."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from ragstone.runtime.errors import EXIT_DEPENDENCY
from tests.faults.worlds import branch

pytestmark = pytest.mark.spark
_MEGABYTE = 1 << 20


@pytest.mark.full
def test_two_runs_at_once_take_turns_and_write_nothing_twice(origin, clean, tmp_path):
    world = branch(origin, tmp_path / "home")
    runs = [world.start(), world.start()]
    assert [run.wait() for run in runs] == [0, 0], world.told
    assert world.rows() == clean.rows()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a few megabytes of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"LEFT OUT: a full disk needs a file system to mount: {mounted.stderr.strip()}")
    yield place
    shutil.rmtree(place, ignore_errors=True)
    # Processes of the test may still be leaving.
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.full
@pytest.mark.parametrize("left_kilobytes", [16, 120, 400])
def test_a_full_disk_stops_the_run_with_its_name_and_loses_nothing(origin, clean, small_disk, left_kilobytes):
    world = branch(origin, small_disk / "home")
    ballast = small_disk / "ballast"
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_bsize
    ballast.write_bytes(b"\0" * (free - left_kilobytes * 1024))

    assert world.run() == EXIT_DEPENDENCY
    assert "the disk is full" in world.told, world.told
    assert "free some space" in world.told
    ballast.unlink()
    world.readable_rows()
    assert world.run() == 0, world.told
    assert world.rows() == clean.rows()
