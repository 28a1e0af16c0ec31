"""Many HSET commands at once, written in Redis's own protocol: most of a pipeline's cost is packing one at a time.

All rows of a view set the same fields, so everything but keys and values is prepared once, as a format of bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import redis

_ARGUMENT = b"$%d\r\n%b\r\n"


def hset_commands(
    keys: Sequence[bytes], fields: Sequence[bytes], columns: Sequence[Sequence[bytes]]
) -> Iterable[bytes]:
    """Return one packed HSET per key: `columns` has for each field its values, in the order of `keys`."""
    names = [_packed(field).replace(b"%", b"%%") for field in fields]
    head = b"*%d\r\n%b" % (2 + 2 * len(fields), _packed(b"HSET"))
    command = head + _ARGUMENT + b"".join(name + _ARGUMENT for name in names)
    arguments = [part for column in (keys, *columns) for part in (map(len, column), column)]
    return map(command.__mod__, zip(*arguments, strict=True))


def send(client: redis.Redis, commands: Iterable[bytes]) -> int:
    """Send packed commands over one connection, wait for every reply and return how many bytes were sent.

    Raises the first error that Redis gives.
    """
    packed = list(commands)
    content = b"".join(packed)
    pool: Any = client.connection_pool
    connection = pool.get_connection()
    try:
        connection.send_packed_command([content])
        for _ in packed:
            connection.read_response()
    except BaseException:
        # Replies that were not read must not be taken for those of the next command.
        connection.disconnect()
        raise
    finally:
        pool.release(connection)
    return len(content)


def _packed(argument: bytes) -> bytes:
    return _ARGUMENT % (len(argument), argument)
