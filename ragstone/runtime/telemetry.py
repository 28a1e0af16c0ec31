"""Libraries that report home unless they are told not to, told not to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

OPT_OUTS: Final[Mapping[str, str]] = {
    # onnxruntime, on by default since 1.29: a device id on disk, and names and hashes of every model it loads.
    "ORT_DISABLE_TELEMETRY": "1",
    # Hugging Face's libraries ask their hub about models that lie on this machine.
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}


def opt_out() -> None:
    """Tell this process's libraries, and those of the processes it starts; before the libraries are imported."""
    os.environ.update(OPT_OUTS)
