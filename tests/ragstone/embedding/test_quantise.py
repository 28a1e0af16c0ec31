from __future__ import annotations

import shutil
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import pytest

from ragstone.embedding.load import embedding_spec, load_embedder
from ragstone.embedding.model_files import CARD_NAME, folder_of, read_card
from ragstone.embedding.quantise import quantised_folder
from ragstone.runtime.errors import ConfigError, DependencyUnavailableError
from ragstone.runtime.settings import Settings, load_settings

TEXTS = ["", "a", "日本語の文", *(text[:900] for text in list(topics.values())[:40])]


def int8(home: Path, assets: Path) -> Settings:
    return load_settings(home=home, assets=assets, embedding={"precision": "int8", "space": "minilm_int8"})


def test_int8_vectors_lie_close_to_those_of_fp32_and_are_another_space(home: Path, copied_model: Path):
    quantised = load_embedder(int8(home, copied_model.parent))
    full = load_embedder(load_settings(home=home))

    cosines = np.sum(quantised.encode(TEXTS) * full.encode(TEXTS), axis=1)

    # Measured on these texts: 0.990 on average.
    assert cosines.mean() >= 0.985
    assert cosines.min() >= 0.97
    assert quantised.spec.encoder_hash != full.spec.encoder_hash
    assert quantised.spec.precision == "int8"


def test_the_first_use_makes_the_model_and_later_ones_take_it_by_its_own_hash(home: Path, copied_model: Path):
    settings = int8(home, copied_model.parent)
    spec = embedding_spec(settings)
    exported = folder_of(settings.assets, "all-MiniLM-L6-v2")
    folder = quantised_folder(exported)
    made = (folder / "model.onnx").stat().st_mtime_ns

    assert quantised_folder(exported) == folder
    assert (folder / "model.onnx").stat().st_mtime_ns == made
    assert spec.model_hash == read_card(folder).files["model.onnx"]
    assert [path.name for path in copied_model.glob(".*")] == []
    with (folder / "model.onnx").open("ab") as file:
        file.write(b" ")
    with pytest.raises(DependencyUnavailableError, match="not the one that was exported"):
        load_embedder(settings)


def test_two_processes_that_make_it_at_once_leave_one_whole_model(copied_model: Path, monkeypatch):
    from ragstone.embedding import quantise

    exported = copied_model / "all-MiniLM-L6-v2"
    other = exported.with_name("all-MiniLM-L6-v2.int8")
    make = quantise._quantise

    def overtaken(graph: Path, target: Path) -> None:
        make(graph, target)
        shutil.copytree(target.parent, other)
        (other / CARD_NAME).write_text((exported / CARD_NAME).read_text())

    monkeypatch.setattr(quantise, "_quantise", overtaken)

    assert quantised_folder(exported) == other
    assert [path.name for path in copied_model.glob(".*")] == []


def test_a_folder_that_cannot_be_written_is_named_with_the_command(copied_model: Path, monkeypatch):
    def full(*_: object, **__: object) -> str:
        raise OSError("No space left on device")

    monkeypatch.setattr("tempfile.mkdtemp", full)

    with pytest.raises(DependencyUnavailableError) as refused:
        quantised_folder(copied_model / "all-MiniLM-L6-v2")

    assert "python -m ragstone.embedding.quantise" in str(refused.value.next_step)


def test_sentence_transformers_refuses_int8(home: Path):
    with pytest.raises(ConfigError) as refused:
        embedding_spec(load_settings(home=home, embedding={"encoder": "sentence-transformers", "precision": "int8"}))

    assert refused.value.where == "embedding.precision"
