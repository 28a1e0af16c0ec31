import subprocess
import sys

from ragstone.runtime.file_lock import exclusive, exclusive_or_not

HOLDER = """
import sys
from pathlib import Path
from ragstone.runtime.file_lock import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
print("given back", flush=True)
"""


def test_a_second_process_waits_until_the_first_is_done(tmp_path):
    path = tmp_path / "deep" / "lock"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], **pipes) as holder:
        assert holder.stdout.readline() == "held\n"
        waited = []

        def let_go():
            waited.append(True)
            holder.stdin.write("\n")
            holder.stdin.flush()

        with exclusive(path, let_go):
            assert holder.stdout.readline() == "given back\n"
    assert waited == [True]


def test_a_lock_ends_with_the_process_that_held_it(tmp_path):
    path = tmp_path / "lock"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], **pipes) as holder:
        assert holder.stdout.readline() == "held\n"
        holder.kill()
    with exclusive(path, lambda: None):
        assert path.read_bytes() == b""


def test_who_does_not_wait_is_told_whether_the_lock_is_held(tmp_path):
    path = tmp_path / "lock"
    with exclusive_or_not(path) as first, exclusive_or_not(path) as second:
        assert (first, second) == (True, False)
    with exclusive_or_not(path) as again:
        assert again
