"""A document in Redis: its features, and every conversation, answer and event that has a trace of its text.

Redis keeps deleted stream entries inside their nodes and writes them out again, so a stream is copied without them.
Then the append-only file is rewritten, and the server's files hold what the server holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import redis

from ragstone.contracts.names import RETRIEVAL_STREAM
from ragstone.features.redis_layout import entity_key
from ragstone.features.views import ACCESS, CHUNK_METADATA
from ragstone.lake.purge_record import PurgeRecord
from ragstone.runtime.errors import DependencyUnavailableError
from ragstone.runtime.redis_server import online_client
from ragstone.runtime.settings import Settings
from ragstone.runtime.traces import leaves

_SCAN_COUNT: Final = 1_000
_REWRITE_TIMEOUT_S: Final = 120.0
_POLL_S: Final = 0.02
_DEADLINE_MS: Final = 30_000
_ANSWER_KEY: Final = b"ragstone:answer:"

Match = Callable[[Any], bool]


def purge_online(settings: Settings, record: PurgeRecord) -> dict[str, Any]:
    """Take a document out of Redis and return how many keys and values went, and how its files were rewritten.

    Raises DependencyUnavailableError when Redis does not answer or cannot rewrite its files.
    """
    with _purging(settings) as client:
        keys = [entity_key(settings.feast.project, ACCESS.join_key, record.document_id)]
        keys += [entity_key(settings.feast.project, CHUNK_METADATA.join_key, name) for name in record.chunk_ids]
        features = _delete_keys(client, keys)
        values = _purge_values(client, record, lambda _key: True)
        return {"features": features, "values": values, "persistence": _rewrite(client)}


def purge_streams(settings: Settings, record: PurgeRecord) -> int:
    """Take a document out of the streams alone and return how many entries went: what is gone there is not drained.

    The record learns which answers cited it. Raises DependencyUnavailableError when Redis does not answer.
    """
    with _purging(settings) as client:
        return _purge_values(client, record, lambda key: _is_stream(client, key))


@contextmanager
def _purging(settings: Settings) -> Iterator[Any]:
    try:
        with online_client(_patient(settings)) as client:
            yield client
    except redis.RedisError as failed:
        raise DependencyUnavailableError(
            "the online store could not be purged",
            where="redis",
            got=f"{type(failed).__name__}: {failed}",
            next_step="ragstone doctor; then repeat the purge, which goes on where it stopped",
        ) from failed


def _purge_values(client: Any, record: PurgeRecord, wanted: Callable[[bytes], bool]) -> int:
    """Purge the answers first: they tell which of them cite the document; judgements and conversations name answers."""
    answers = set(record.answer_ids)

    def match(value: Any) -> bool:
        texts = list(leaves(value))
        if isinstance(value, dict):
            answer_id = value.get(b"answer_id", b"").decode()
            if record.document_id.encode() in value.get(b"citations", b""):
                answers.add(answer_id)
                return True
            if answer_id and answer_id in answers:
                return True
        named = isinstance(value, bytes) and any(name in text for name in answers if name for text in texts)
        return named or any(map(record.traces.match, texts))

    # What the service keeps; of features there is nothing left but other documents'.
    keys = sorted(
        filter(wanted, set(client.scan_iter(match=b"ragstone:*", count=_SCAN_COUNT))),
        key=lambda key: (key != RETRIEVAL_STREAM.encode(), not _is_stream(client, key)),
    )
    purged = sum(_purge_key(client, key, match) for key in keys)
    record.answer_ids = sorted(filter(None, answers))
    return purged


def _is_stream(client: Any, key: bytes) -> bool:
    return bool(client.type(key) == b"stream")


def _patient(settings: Settings) -> Settings:
    # Reading a whole stream takes longer than a question may.
    return settings.model_copy(update={"redis": settings.redis.model_copy(update={"deadline_ms": _DEADLINE_MS})})


def _delete_keys(client: Any, keys: Sequence[bytes]) -> int:
    parts = (keys[start : start + _SCAN_COUNT] for start in range(0, len(keys), _SCAN_COUNT))
    return sum(int(client.delete(*part)) for part in parts)


def _purge_key(client: redis.Redis, key: bytes, match: Match) -> int:
    """Remove what matches from one key, whatever its kind, and return how many values went."""
    kind: Any = client.type(key)
    return _PURGE_BY_KIND.get(bytes(kind), _nothing)(client, key, match)


def _nothing(_client: Any, _key: bytes, _match: Match) -> int:
    return 0


def _purge_string(client: Any, key: bytes, match: Match) -> int:
    return int(client.delete(key)) if match(client.get(key) or b"") else 0


def _purge_list(client: Any, key: bytes, match: Match) -> int:
    return sum(int(client.lrem(key, 0, item)) for item in client.lrange(key, 0, -1) if match(item))


def _purge_set(client: Any, key: bytes, match: Match) -> int:
    return sum(int(client.srem(key, item)) for item in client.smembers(key) if match(item))


def _purge_sorted_set(client: Any, key: bytes, match: Match) -> int:
    return sum(int(client.zrem(key, item)) for item in client.zrange(key, 0, -1) if match(item))


def _purge_hash(client: Any, key: bytes, match: Match) -> int:
    return sum(int(client.hdel(key, name)) for name, value in client.hgetall(key).items() if match([name, value]))


def _purge_stream(client: Any, key: bytes, match: Match) -> int:
    """Copy a stream without the entries that match, under its own ids, and put the copy in its place."""
    purged = 0

    def copy(pipeline: Any) -> None:
        nonlocal purged
        entries = pipeline.xrange(key)
        matching = {entry_id: fields for entry_id, fields in entries if match(fields)}
        purged = len(matching)
        last_id = pipeline.xinfo_stream(key)["last-generated-id"]
        pipeline.multi()
        if not matching:
            return
        beside = key + b":purged"
        pipeline.delete(beside, *_answer_keys(matching.values()))
        for entry_id, fields in entries:
            if entry_id not in matching:
                pipeline.xadd(beside, fields, id=entry_id)
        if purged == len(entries):
            pipeline.delete(key)
        else:
            pipeline.execute_command("XSETID", beside, last_id)
            pipeline.rename(beside, key)

    # An event that is written meanwhile makes Redis refuse the exchange, and it is tried again.
    client.transaction(copy, key)
    return purged


def _answer_keys(events: Iterable[Any]) -> list[bytes]:
    return [_ANSWER_KEY + fields[b"answer_id"] for fields in events if b"answer_id" in fields]


_PURGE_BY_KIND: Final[dict[bytes, Callable[[Any, bytes, Match], int]]] = {
    b"string": _purge_string,
    b"list": _purge_list,
    b"set": _purge_set,
    b"zset": _purge_sorted_set,
    b"hash": _purge_hash,
    b"stream": _purge_stream,
}


def _rewrite(client: Any) -> str:
    """Have the server write its files anew and wait for it; return how, or why that is left to its owner."""
    try:
        if not client.info("persistence")["aof_enabled"]:
            client.save()
            return "snapshot written"
        client.bgrewriteaof()
    except redis.ResponseError as refused:
        if "already in progress" not in str(refused):
            return f"left to the server's owner, who has to rewrite its files: {refused}"
    return _awaited(client)


def _awaited(client: Any) -> str:
    give_up = time.monotonic() + _REWRITE_TIMEOUT_S
    while True:
        told = client.info("persistence")
        if not (told["aof_rewrite_in_progress"] or told["aof_rewrite_scheduled"]):
            break
        if time.monotonic() > give_up:
            raise redis.TimeoutError(f"the append-only file was not rewritten within {_REWRITE_TIMEOUT_S:g} s")
        time.sleep(_POLL_S)
    if told["aof_last_bgrewrite_status"] != "ok":
        raise redis.ResponseError(f"the append-only file was not rewritten: {told['aof_last_bgrewrite_status']}")
    return "append-only file rewritten"
