"""Whether a Redis server answers, and if not, why."""

from __future__ import annotations

import time
from enum import Enum
from typing import Final

import redis

from ragstone.runtime.errors import DependencyUnavailableError
from ragstone.runtime.redis_address import RedisAddress
from ragstone.runtime.redis_client import connect

POLL_S: Final = 0.02
_PING_TIMEOUT_S: Final = 2.0


class State(Enum):
    """What a PING found; the value completes the sentence `Redis …`."""

    UP = "answers"
    LOADING = "is loading its data"
    HUNG = "does not answer"
    ABSENT = "is not there"


def probe(address: RedisAddress) -> State:
    """Return what one PING finds within two seconds."""
    try:
        with connect(address, _PING_TIMEOUT_S) as client:
            client.ping()
    except redis.BusyLoadingError:
        return State.LOADING
    except redis.TimeoutError:
        return State.HUNG
    except (redis.RedisError, OSError):
        # Refused, or another program on that port: a home's password opens the home's server alone.
        return State.ABSENT
    return State.UP


def probe_loaded(address: RedisAddress) -> State:
    """Return what PING finds once the server is no longer loading its data."""
    while (state := probe(address)) is State.LOADING:
        time.sleep(POLL_S)
    return state


def unavailable(address: RedisAddress, state: State) -> DependencyUnavailableError:
    """Return the error that says what was found at the address; it shows no password."""
    return DependencyUnavailableError(
        f"Redis {state.value}",
        where=str(address),
        got=state.value,
        wanted=f"an answer to PING within {_PING_TIMEOUT_S:g} s",
        next_step="for a home's own server run `ragstone stop`, then try again; else look at redis.url",
    )
