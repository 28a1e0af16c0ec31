"""Where a Redis server is, and how each of its users spells that."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from ragstone.runtime.errors import ConfigError

_DEFAULT_PORT = 6379


@dataclass(frozen=True)
class RedisAddress:
    """One server and one database of it. The password is kept out of the repr."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    database: int = 0
    tls: bool = False

    @property
    def url(self) -> str:
        """Return the address as redis clients take it; it holds the password."""
        name, secret = quote(self.username or "", safe=""), quote(self.password or "", safe="")
        credentials = f"{name}:{secret}@" if name or secret else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"redis{'s' if self.tls else ''}://{credentials}{host}:{self.port}/{self.database}"

    @property
    def feast_connection_string(self) -> str:
        """Return the address as Feast's Redis store takes it; it holds the password."""
        options = {"db": str(self.database)}
        if self.username:
            options["username"] = self.username
        if self.password:
            options["password"] = _as_feast_reads(self.password)
        if self.tls:
            options["ssl"] = "true"
        return ",".join([f"{self.host}:{self.port}", *(f"{name}={value}" for name, value in options.items())])

    def __str__(self) -> str:
        return f"{self.host}:{self.port}/{self.database}"


def parse_redis_url(url: str) -> RedisAddress:
    """Return the address that a `redis://` or `rediss://` URL names. Raises ConfigError, which shows no password."""
    parts = urlsplit(url)
    try:
        port, database = parts.port or _DEFAULT_PORT, int(parts.path.strip("/") or 0)
    except ValueError as broken:
        raise _refused(parts.scheme) from broken
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise _refused(parts.scheme)
    return RedisAddress(
        host=parts.hostname,
        port=port,
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        database=database,
        tls=parts.scheme == "rediss",
    )


def _as_feast_reads(secret: str) -> str:
    """Return a secret as Feast's parser gives it back: it splits at commas and reads numbers and JSON as such."""
    if "," in secret:
        raise ConfigError(
            "the password of redis.url cannot be told to Feast", where="redis.url", got="a comma in it", wanted="none"
        )
    try:
        json.loads(secret)
    except ValueError:
        return secret
    return json.dumps(secret)


def _refused(scheme: str) -> ConfigError:
    return ConfigError(
        "redis.url is not the address of a Redis server",
        where="redis.url",
        got=f"{scheme or 'no scheme'}://…",
        wanted="redis://[user:password@]host[:port][/database], or rediss://… for TLS",
        next_step="set RAGSTONE_REDIS_URL, or leave it out for a local server",
    )
