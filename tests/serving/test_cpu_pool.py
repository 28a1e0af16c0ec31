import asyncio
import threading
from contextvars import ContextVar

import pytest

from serving.cpu_pool import CpuPool

WHO: ContextVar[str] = ContextVar("WHO", default="nobody")


@pytest.fixture
def pool():
    pool = CpuPool(1)
    yield pool
    pool.close()


def test_work_leaves_the_event_loops_thread_and_brings_its_result_back(pool):
    assert asyncio.run(pool.run(threading.current_thread)).name == "ragstone-cpu_0"
    assert asyncio.run(pool.run(divmod, 7, 2)) == (3, 1)


def test_an_error_reaches_whoever_waits_and_the_thread_goes_on(pool):
    with pytest.raises(ZeroDivisionError):
        asyncio.run(pool.run(divmod, 1, 0))
    assert asyncio.run(pool.run(int, "7")) == 7


def test_work_sees_the_callers_context(pool):
    async def named():
        WHO.set("ann")
        return await pool.run(WHO.get)

    assert asyncio.run(named()) == "ann"


def test_the_event_loop_turns_while_work_blocks(pool):
    async def both():
        release = threading.Event()
        waiting = asyncio.ensure_future(pool.run(release.wait))
        await asyncio.sleep(0)
        assert not waiting.done()
        release.set()
        return await waiting

    assert asyncio.run(both())


def test_work_whose_caller_has_gone_is_not_begun_and_harms_nobody(pool):
    begun = []

    async def gone():
        release = threading.Event()
        first = asyncio.ensure_future(pool.run(release.wait))
        second = asyncio.ensure_future(pool.run(begun.append, "second"))
        await asyncio.sleep(0)
        first.cancel()
        second.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        release.set()
        return await pool.run(int, "7")

    assert asyncio.run(gone()) == 7
    assert begun == []
