"""Where a Redis server is, and how each of its users spells that."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urlsplit

from ragstone.runtime.errors import ConfigError

_DEFAULT_PORT: Final = 6379
_SENTINEL_PORT: Final = 26379
_SERVER: Final = ("redis", "rediss")
_SENTINEL: Final = ("redis+sentinel", "rediss+sentinel")
_CLUSTER: Final = ("redis+cluster", "rediss+cluster")
_WANTED: Final = (
    "redis://[user:password@]host[:port][/database], "
    "redis+sentinel://[user:password@]sentinel[:port][,sentinel[:port]...]/master[/database], or rediss for TLS"
)


@dataclass(frozen=True)
class Sentinels:
    """Who tells where the server is: the sentinels to ask, in their order, and the name they know the server by."""

    nodes: tuple[tuple[str, int], ...]
    master: str


@dataclass(frozen=True)
class RedisAddress:
    """One server and one database of it. The password is kept out of the repr.

    With `sentinels` the server is whichever they call the master, and `host` and `port` are those of the first of them.
    `ca_file` holds the certificates that a server's certificate is checked against; None means the system's.
    """

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    database: int = 0
    tls: bool = False
    ca_file: Path | None = None
    sentinels: Sentinels | None = None

    @property
    def url(self) -> str:
        """Return the address as `redis.url` spells it; it holds the password, and does not hold `ca_file`."""
        name, secret = quote(self.username or "", safe=""), quote(self.password or "", safe="")
        credentials = f"{name}:{secret}@" if secret else f"{name}@" if name else ""
        scheme = f"redis{'s' if self.tls else ''}{'+sentinel' if self.sentinels else ''}"
        master = f"/{self.sentinels.master}" if self.sentinels else ""
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.nodes)
        return f"{scheme}://{credentials}{hosts}{master}/{self.database}"

    @property
    def nodes(self) -> tuple[tuple[str, int], ...]:
        """Return the hosts and ports that are asked first: the sentinels, or else the server itself."""
        return self.sentinels.nodes if self.sentinels else ((self.host, self.port),)

    @property
    def feast_connection_string(self) -> str:
        """Return the address as Feast's Redis store takes it; it holds the password."""
        options = {"db": str(self.database)}
        if self.username:
            options["username"] = self.username
        if self.password:
            options["password"] = _as_feast_reads(self.password, "the password of redis.url")
        if self.tls:
            options["ssl"] = "true"
        if self.ca_file is not None:
            options["ssl_ca_certs"] = _as_feast_reads(str(self.ca_file), "redis.ca_file")
        hosts = [f"{host}:{port}" for host, port in self.nodes]
        return ",".join([*hosts, *(f"{name}={value}" for name, value in options.items())])

    @property
    def feast_redis_type(self) -> str:
        """Return what Feast calls this kind of address."""
        return "redis_sentinel" if self.sentinels else "redis"

    def __str__(self) -> str:
        hosts = ",".join(f"{host}:{port}" for host, port in self.nodes)
        return f"{hosts}/{self.sentinels.master}/{self.database}" if self.sentinels else f"{hosts}/{self.database}"


def parse_redis_url(url: str) -> RedisAddress:
    """Return the address that a `redis.url` names. Raises ConfigError, which shows no password."""
    try:
        parts = _split(url)
        if parts.scheme in _SERVER:
            return _server(parts)
        if parts.scheme in _SENTINEL:
            return _master(parts)
    except ValueError as broken:
        raise _refused() from broken
    if parts.scheme in _CLUSTER:
        raise _no_cluster(parts.scheme)
    raise _refused(parts.scheme)


def _split(url: str) -> SplitResult:
    # Not by urlsplit, which takes a list of hosts for a broken IPv6 address on some Pythons.
    scheme, separator, rest = url.partition("://")
    netloc, slash, path = rest.partition("/")
    return SplitResult(scheme.lower() if separator else "", netloc, slash + path, "", "")


def _server(parts: SplitResult) -> RedisAddress:
    if not parts.hostname:
        raise _refused(parts.scheme)
    username, password = _credentials(parts)
    return RedisAddress(
        host=parts.hostname,
        port=parts.port or _DEFAULT_PORT,
        username=username,
        password=password,
        database=int(parts.path.strip("/") or 0),
        tls=parts.scheme == "rediss",
    )


def _master(parts: SplitResult) -> RedisAddress:
    hosts = [urlsplit(f"//{host}") for host in parts.netloc.rpartition("@")[2].split(",")]
    nodes = tuple((host.hostname or "", host.port or _SENTINEL_PORT) for host in hosts)
    master, _, database = parts.path.strip("/").partition("/")
    if not master or not all(host for host, _ in nodes):
        raise _refused(parts.scheme)
    username, password = _credentials(parts)
    return RedisAddress(
        *nodes[0],
        username=username,
        password=password,
        database=int(database or 0),
        tls=parts.scheme == "rediss+sentinel",
        sentinels=Sentinels(nodes, master),
    )


def _credentials(parts: SplitResult) -> tuple[str | None, str | None]:
    name, _, secret = parts.netloc.rpartition("@")[0].partition(":")
    return unquote(name) or None, unquote(secret) or None


def _as_feast_reads(text: str, what: str) -> str:
    """Return a text as Feast's parser gives it back: it splits at commas and reads numbers and JSON as such."""
    if "," in text:
        raise ConfigError(f"{what} cannot be told to Feast", where="redis", got="a comma in it", wanted="none")
    try:
        json.loads(text)
    except ValueError:
        return text
    return json.dumps(text)


def _no_cluster(scheme: str) -> ConfigError:
    return ConfigError(
        "Redis Cluster is not supported",
        where="redis.url",
        got=f"{scheme}://…",
        wanted="one server that holds every key: an answer, its event and its conversation are written in one "
        "transaction, which a cluster takes for the keys of one slot only",
        next_step="name a server (redis:// or rediss://), or a master and its sentinels (redis+sentinel://)",
    )


def _refused(scheme: str = "") -> ConfigError:
    return ConfigError(
        "redis.url is not the address of a Redis server",
        where="redis.url",
        got=f"{scheme or 'no scheme'}://…",
        wanted=_WANTED,
        next_step="set RAGSTONE_REDIS_URL, or leave it out for a local server",
    )
