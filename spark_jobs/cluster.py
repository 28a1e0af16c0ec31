"""A Spark standalone cluster on this machine: one master, two workers, loopback only. `make cluster` runs it.

It is for trying what a real cluster does otherwise than `local[2]`: code and settings travel to processes of their own,
and executors come and go.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from ragstone.runtime.errors import DependencyUnavailableError, RagstoneError, exit_code
from ragstone.runtime.settings import Settings, load_settings
from ragstone.runtime.spark_properties import spark_environment

_HOST: Final = "127.0.0.1"
_WORKERS: Final = 2
_START_S: Final = 60
_POLL_S: Final = 0.2
# The daemons hold no data: a small heap each leaves the machine to the executors.
_DAEMON_MEMORY: Final = "256m"


@contextmanager
def standalone_cluster(
    settings: Settings, folder: Path, port: int = 7077, web_port: int = 8081, worker_memory: str = "2g"
) -> Iterator[str]:
    """Give the master's address, `spark://127.0.0.1:<port>`, while a master and two one-core workers run.

    Logs and the executors' folders go below `folder`. Raises DependencyUnavailableError when the workers do not
    register within a minute, such as for a port that is taken.
    """
    folder.mkdir(parents=True, exist_ok=True)
    address = f"spark://{_HOST}:{port}"
    given = ("--host", _HOST)
    master = ("org.apache.spark.deploy.master.Master", *given, "--port", str(port), "--webui-port", str(web_port))
    worker = ("org.apache.spark.deploy.worker.Worker", *given, "--port", "0", "--webui-port", "0", "--cores", "1")
    sized = (*worker, "--memory", worker_memory, "--work-dir", str(folder / "work"), address)
    with ExitStack() as running:
        started = [running.enter_context(_daemon(settings, folder / "master.log", master))]
        for number in range(1, _WORKERS + 1):
            started.append(running.enter_context(_daemon(settings, folder / f"worker-{number}.log", sized)))
        _wait_for_workers(started, f"http://{_HOST}:{web_port}/json/", folder)
        yield address


@contextmanager
def _daemon(settings: Settings, log: Path, arguments: tuple[str, ...]) -> Iterator[subprocess.Popen[bytes]]:
    """Run one daemon of Spark for the length of a block; its executors end with it."""
    environment = {**os.environ, **_environment(settings)}
    launcher = Path(environment["SPARK_HOME"]) / "bin" / "spark-class"
    with log.open("wb") as output:
        process = subprocess.Popen([str(launcher), *arguments], env=environment, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _environment(settings: Settings) -> Mapping[str, str]:
    own = spark_environment(settings)
    # A daemon reads no properties of ours: those are the driver's, and name its master and jars.
    # Nor may one move on to the next port when its own is taken: nobody would find it there.
    options = "-Dspark.port.maxRetries=0"
    return {**own, "SPARK_LOCAL_IP": _HOST, "SPARK_DAEMON_MEMORY": _DAEMON_MEMORY, "SPARK_DAEMON_JAVA_OPTS": options}


def _wait_for_workers(daemons: list[subprocess.Popen[bytes]], status_url: str, folder: Path) -> None:
    deadline = time.monotonic() + _START_S
    while _living_workers(status_url) < _WORKERS:
        ended = [daemon.args for daemon in daemons if daemon.poll() is not None]
        if ended or time.monotonic() > deadline:
            raise DependencyUnavailableError(
                "the Spark cluster did not start",
                where=str(folder),
                got="a daemon that ended" if ended else f"fewer than {_WORKERS} workers after {_START_S} s",
                wanted=f"a master and {_WORKERS} workers",
                next_step=f"read {folder}/*.log; is another cluster running on these ports?",
            )
        time.sleep(_POLL_S)


def _living_workers(status_url: str) -> int:
    try:
        with urllib.request.urlopen(status_url, timeout=_POLL_S * 10) as answer:
            return int(json.load(answer)["aliveworkers"])
    except (OSError, ValueError, KeyError):
        return 0


def main() -> int:
    """Run a cluster until interrupted and return the exit code."""
    try:
        settings = load_settings()
        with standalone_cluster(settings, settings.home / "cluster") as address:
            sys.stdout.write(
                f"a master and {_WORKERS} workers at {address}\n"
                "run the pipeline on it, from another terminal:  ragstone --env cluster run\n"
                "stop it with Ctrl-C\n"
            )
            sys.stdout.flush()
            _wait_for_interrupt()
    except RagstoneError as error:
        sys.stderr.write(f"{error}\n")
        return exit_code(error)
    return 0


def _wait_for_interrupt() -> None:
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    sys.exit(main())
