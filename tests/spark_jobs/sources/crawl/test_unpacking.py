import gzip
import tracemalloc

import pytest

from ragstone.runtime.errors import BadInputError, TooLargeError
from spark_jobs.sources.crawl.unpacking import gunzip


def pieces(packed, size=7):
    return [packed[start : start + size] for start in range(0, len(packed), size)]


def test_every_member_is_unpacked_however_it_is_cut():
    packed = gzip.compress(b"one " * 100) + gzip.compress(b"two")
    assert gunzip(pieces(packed), 1_000) == b"one " * 100 + b"two"
    assert gunzip([packed], 403) == b"one " * 100 + b"two"
    assert gunzip([], 10) == b""


def test_a_bomb_is_stopped_before_it_takes_memory():
    packed = gzip.compress(b"\x00" * 50_000_000)
    tracemalloc.start()
    with pytest.raises(TooLargeError):
        gunzip([packed], 10_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize("broken", [b"no gzip", gzip.compress(b"x" * 100)[:-4], gzip.compress(b"x") + b"more"])
def test_what_is_no_whole_gzip_is_refused(broken):
    with pytest.raises(BadInputError):
        gunzip(pieces(broken), 1_000)
