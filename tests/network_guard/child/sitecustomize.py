"""Puts the audit hook into Python processes that tests start; Python imports a module of this name by itself."""

import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3]))

from tests.network_guard.audit import LOG_VARIABLE, install

if LOG_VARIABLE in os.environ:
    install(Path(os.environ[LOG_VARIABLE]))
