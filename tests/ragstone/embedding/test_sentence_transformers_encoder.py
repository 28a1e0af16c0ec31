from __future__ import annotations

import subprocess
import sys


def test_without_the_extra_the_error_names_it():
    # In a process of its own, in which the extra cannot be found even where it is installed.
    script = (
        "import sys; sys.modules['sentence_transformers'] = None\n"
        "from ragstone.embedding.load import load_embedder\n"
        "from ragstone.runtime.errors import DependencyUnavailableError\n"
        "from ragstone.runtime.settings import load_settings\n"
        "try: load_embedder(load_settings(embedding={'encoder': 'sentence-transformers'}))\n"
        "except DependencyUnavailableError as refused: print(refused.wanted)"
    )

    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == "the extra `st`"
