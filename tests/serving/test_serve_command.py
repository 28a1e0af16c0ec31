"""`ragstone serve` that cannot start: it says why, and exits by the code of the error."""

import os
import socket
import subprocess
import sys

from ragstone.runtime.errors import EXIT_DEPENDENCY, EXIT_FAILED


def serve(world, port, **variables):
    command = [sys.executable, "-m", "orchestration.cli", "--home", str(world.home), "serve", "--port", str(port)]
    return subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, timeout=120)


def test_an_index_of_another_encoder(world):
    refused = serve(world, 0, RAGSTONE_EMBEDDING_MAX_TOKENS="64")

    assert refused.returncode == EXIT_FAILED
    assert "the published index belongs to another encoder" in refused.stderr
    assert "wanted: encoder " in refused.stderr


def test_a_port_that_is_taken(world):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        refused = serve(world, port)

    assert refused.returncode == EXIT_DEPENDENCY
    assert f"where: 127.0.0.1:{port}" in refused.stderr
