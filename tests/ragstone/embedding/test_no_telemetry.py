import subprocess
import sys

SEE_WHAT_ONNXRUNTIME_SEES = """
import os, sys

class Watch:
    def find_spec(self, name, path, target=None):
        if name == "onnxruntime":
            sys.exit(f"ORT_DISABLE_TELEMETRY={os.environ.get('ORT_DISABLE_TELEMETRY')}")

sys.meta_path.insert(0, Watch())
import ragstone.embedding.onnx_encoder
"""


def test_telemetry_is_off_before_onnxruntime_is_loaded():
    # Once loaded, it looks its maker's host up some ten seconds later, whatever is called then.
    seen = subprocess.run(
        [sys.executable, "-c", SEE_WHAT_ONNXRUNTIME_SEES], env={}, capture_output=True, text=True, check=False
    )

    assert seen.stderr == "ORT_DISABLE_TELEMETRY=1\n"
