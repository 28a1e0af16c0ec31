"""Connecting to a Redis server as its address says: plainly or by TLS, as a user, itself or the one sentinels name."""

from __future__ import annotations

from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from ragstone.runtime.redis_address import RedisAddress


def connect(address: RedisAddress, timeout_s: float) -> redis.Redis:
    """Return a client that gives each call so many seconds and tries it once. Nothing is sent before the first call.

    redis-py's own default, ten retries with pauses, turns a hung server into ten seconds.
    """
    timeouts: dict[str, Any] = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
    options = {"retry": Retry(NoBackoff(), 0), **timeouts, **_identity(address)}
    if address.sentinels is None:
        return redis.Redis(host=address.host, port=address.port, **options)
    # Sentinels are asked without credentials and TLS, because Feast's store cannot be told any for them.
    asked = {"retry": Retry(NoBackoff(), 0), **timeouts}
    told: Any = Sentinel(address.sentinels.nodes, sentinel_kwargs=asked)  # type: ignore[no-untyped-call]
    client: redis.Redis = told.master_for(address.sentinels.master, **options)
    return client


def _identity(address: RedisAddress) -> dict[str, Any]:
    identity = {"username": address.username, "password": address.password, "db": address.database}
    if not address.tls:
        return identity
    authorities = {} if address.ca_file is None else {"ssl_ca_certs": str(address.ca_file)}
    return {**identity, "ssl": True, **authorities}
