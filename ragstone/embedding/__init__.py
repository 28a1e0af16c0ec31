"""From text to vector: what vectors mean, the port encoders stand behind, and the encoders."""

import os

# onnxruntime tells its maker of its use, over the network, from the moment it is loaded; its own call to switch that
# off comes too late. Nothing leaves this machine that was not configured to, so it is off before any encoder is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
