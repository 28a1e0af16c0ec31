from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ragstone.embedding.model_files import model_folder
from ragstone.runtime.settings import Settings


@pytest.fixture
def copied_model(settings: Settings, tmp_path: Path) -> Path:
    """A `models` folder of its own with the exported model in it, to be spoilt."""
    models = tmp_path / "assets" / "models"
    shutil.copytree(model_folder(settings), models / model_folder(settings).name)
    return models
