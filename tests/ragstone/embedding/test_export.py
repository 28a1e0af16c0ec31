from __future__ import annotations

import json
import shutil
from math import erf
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragstone.embedding import model_files
from ragstone.embedding.bert_onnx import BertShape, Weights, bert_graph, read_safetensors
from ragstone.embedding.export import export_model, installed_model, is_exported, main
from ragstone.embedding.model_files import model_folder, read_card
from ragstone.embedding.onnx_encoder import open_session
from ragstone.runtime.errors import ConfigError, DependencyUnavailableError
from ragstone.runtime.settings import Settings, load_settings

HIDDEN, HEADS, WORDS, POSITIONS = 4, 2, 7, 6
DENSE = {
    "attention.self.query": (HIDDEN, HIDDEN),
    "attention.self.key": (HIDDEN, HIDDEN),
    "attention.self.value": (HIDDEN, HIDDEN),
    "attention.output.dense": (HIDDEN, HIDDEN),
    "intermediate.dense": (2 * HIDDEN, HIDDEN),
    "output.dense": (HIDDEN, 2 * HIDDEN),
}


def random_weights() -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    """A BERT of one layer, small enough to compute by hand."""
    source = np.random.default_rng(7)

    def draw(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        return source.normal(size=shape).astype(np.float32)

    weights = {
        "embeddings.word_embeddings.weight": draw(WORDS, HIDDEN),
        "embeddings.position_embeddings.weight": draw(POSITIONS, HIDDEN),
        "embeddings.token_type_embeddings.weight": draw(2, HIDDEN),
    }
    norms = ("attention.output.LayerNorm", "output.LayerNorm")
    for name in ("embeddings.LayerNorm", *(f"encoder.layer.0.{norm}" for norm in norms)):
        weights |= {f"{name}.weight": draw(HIDDEN), f"{name}.bias": draw(HIDDEN)}
    for name, shape in DENSE.items():
        weights |= {f"encoder.layer.0.{name}.weight": draw(*shape), f"encoder.layer.0.{name}.bias": draw(shape[0])}
    return weights


def by_hand(weights: Weights, ids: list[int], pooling: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """BERT as its paper has it, token by token and head by head, in float64."""
    w = {name: value.astype(np.float64) for name, value in weights.items()}

    def norm(x, name):
        spread = np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return (x - x.mean(-1, keepdims=True)) / spread * w[f"{name}.weight"] + w[f"{name}.bias"]

    def dense(x, name):
        return x @ w[f"encoder.layer.0.{name}.weight"].T + w[f"encoder.layer.0.{name}.bias"]

    x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][: len(ids)]
    x = norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    q, k, v = (dense(x, f"attention.self.{part}") for part in ("query", "key", "value"))
    size, mixed = HIDDEN // HEADS, np.empty_like(x)
    for head in range(HEADS):
        part = slice(head * size, (head + 1) * size)
        scores = np.exp(q[:, part] @ k[:, part].T / np.sqrt(size))
        mixed[:, part] = scores / scores.sum(-1, keepdims=True) @ v[:, part]
    x = norm(dense(mixed, "attention.output.dense") + x, "encoder.layer.0.attention.output.LayerNorm")
    wide = dense(x, "intermediate.dense")
    wide = wide * (1 + np.vectorize(erf)(wide / np.sqrt(2))) / 2
    x = norm(dense(wide, "output.dense") + x, "encoder.layer.0.output.LayerNorm")
    pooled = x.mean(0) if pooling == "mean" else x[0]
    return pooled / np.linalg.norm(pooled)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_the_graph_computes_what_bert_computes_by_hand(pooling: str, tmp_path: Path):
    weights = random_weights()
    graph = bert_graph(weights, BertShape(layers=1, heads=HEADS, hidden=HIDDEN, epsilon=1e-12, pooling=pooling))
    (tmp_path / "graph.onnx").write_bytes(graph.SerializeToString())
    rows = [[1, 4, 2], [6, 6, 0]]

    (vectors,) = open_session(tmp_path / "graph.onnx").run(None, {"input_ids": np.array(rows)})

    assert vectors == pytest.approx(np.array([by_hand(weights, row, pooling) for row in rows]), abs=1e-5)


def test_safetensors_are_read_by_name_and_shape(tmp_path: Path):
    header = {
        "__metadata__": {"format": "pt"},
        "ids": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]},
        "w": {"dtype": "F32", "shape": [2, 1], "data_offsets": [8, 16]},
    }
    text = json.dumps(header).encode()
    values = np.array([1.5, -2], np.float32).tobytes()
    (tmp_path / "m").write_bytes(len(text).to_bytes(8, "little") + text + bytes(8) + values)

    tensors = read_safetensors(tmp_path / "m")

    assert {name: tensor.tolist() for name, tensor in tensors.items()} == {"w": [[1.5], [-2.0]]}


def test_two_exports_are_the_same_to_the_last_byte(settings: Settings, tmp_path: Path):
    exported = read_card(model_folder(settings))

    assert export_model("all-MiniLM-L6-v2", installed_model(), tmp_path / "again").files == exported.files


def test_weights_other_than_the_pinned_are_refused_before_anything_is_written(tmp_path: Path):
    source = shutil.copytree(installed_model(), tmp_path / "source")
    with (source / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x55")

    with pytest.raises(DependencyUnavailableError, match="not the pinned ones"):
        export_model("all-MiniLM-L6-v2", source, tmp_path / "target")

    assert not (tmp_path / "target").exists()


def test_an_incomplete_folder_is_refused(tmp_path: Path):
    with pytest.raises(DependencyUnavailableError) as refused:
        export_model("x", tmp_path, tmp_path / "target")

    assert "model.safetensors" in str(refused.value.got)


def test_a_model_with_parts_we_do_not_know_is_refused(tmp_path: Path):
    source = shutil.copytree(installed_model(), tmp_path / "source")
    modules = [*json.loads((source / "modules.json").read_text()), {"type": "sentence_transformers.models.Dense"}]
    (source / "modules.json").write_text(json.dumps(modules))

    with pytest.raises(ConfigError, match="cannot be exported") as refused:
        export_model("x", source, tmp_path / "target")

    assert "Dense" in str(refused.value.got)


def test_a_model_that_is_no_bert_gets_no_graph(tmp_path: Path):
    source = shutil.copytree(installed_model(), tmp_path / "source")
    config = {**json.loads((source / "config.json").read_text()), "model_type": "mpnet"}
    (source / "config.json").write_text(json.dumps(config))

    card = export_model("another", source, tmp_path / "target")

    assert set(card.files) == {"tokenizer.json"}


def test_the_command_leaves_a_whole_export_alone_and_mends_a_spoilt_one(
    copied_model: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("RAGSTONE_ASSETS", str(copied_model.parent))
    folder = copied_model / "all-MiniLM-L6-v2"
    before = (folder / "model.json").stat().st_mtime_ns

    assert main([]) == 0
    assert (folder / "model.json").stat().st_mtime_ns == before

    forget()
    (folder / "model.onnx").write_bytes(b"spoilt")
    assert not is_exported(folder)

    forget()
    assert main([]) == 0
    forget()
    assert is_exported(folder)


def test_the_command_takes_in_a_model_from_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RAGSTONE_ASSETS", str(tmp_path))

    assert main(["someone/model", str(installed_model())]) == 0

    settings = load_settings(home=tmp_path, embedding={"model": "someone/model"})
    assert is_exported(model_folder(settings))
    assert main(["only-a-name"]) == 2


def forget() -> None:
    """Stand in for a new process: what was verified is remembered per process."""
    model_files.read_card.cache_clear()
    model_files.verified_file.cache_clear()
