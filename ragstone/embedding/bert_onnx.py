"""A BERT sentence encoder as an ONNX graph, written straight from its weights: numpy and onnx, no torch.

Pooling and normalising are nodes of the graph, so that there is one function from token ids to a unit vector. The graph
takes rows of equal length and has no mask: callers never pad.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

INPUT: Final = "input_ids"
OUTPUT: Final = "embedding"
# The first operator set with Gelu; LayerNormalization came in 17.
_OPSET: Final = 20
# The file format of that operator set: newer ones are refused by runtimes that could run the graph.
_IR_VERSION: Final = 9

Weights = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class BertShape:
    """The sizes of a BERT encoder, as its config.json names them."""

    layers: int
    heads: int
    hidden: int
    epsilon: float
    pooling: str


def read_safetensors(path: Path) -> dict[str, NDArray[np.float32]]:
    """Return the float32 tensors of a safetensors file by name; others, such as position ids, are left out."""
    raw = path.read_bytes()
    header_bytes = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + header_bytes])
    data = memoryview(raw)[8 + header_bytes :]
    return {
        name: np.frombuffer(data[slice(*entry["data_offsets"])], np.float32).reshape(entry["shape"])
        for name, entry in header.items()
        if entry.get("dtype") == "F32"
    }


def bert_graph(weights: Weights, shape: BertShape) -> onnx.ModelProto:
    """Return the encoder as a checked ONNX model: int64 (batch, tokens) in, float32 (batch, hidden) of unit norm out.

    `weights` go by the names that Hugging Face's BertModel gives them.
    """
    graph = _Graph(weights)
    tokens = _embeddings(graph, shape)
    for layer in range(shape.layers):
        tokens = _layer(graph, f"encoder.layer.{layer}", tokens, shape)
    _pooled(graph, tokens, shape)
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "sentence_encoder",
            [helper.make_tensor_value_info(INPUT, TensorProto.INT64, ["batch", "tokens"])],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", shape.hidden])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="ragstone",
    )
    onnx.checker.check_model(model)
    return model


class _Graph:
    """Nodes and constants as they come; every value is named by the node that makes it."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: NDArray[Any]) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def node(self, kind: str, name: str, inputs: Sequence[str], **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [name], name=f"{name}.node", **attributes))
        return name

    def linear(self, name: str, value: str, matrix: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
        """Multiply by a matrix of shape (out, in), as torch keeps it, and add a bias of shape (out,)."""
        product = self.node("MatMul", f"{name}.product", [value, self.constant(f"{name}.weight", matrix.T)])
        return self.node("Add", f"{name}.sum", [product, self.constant(f"{name}.bias", bias)])

    def dense(self, name: str, value: str) -> str:
        return self.linear(name, value, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def normalised(self, name: str, value: str, epsilon: float) -> str:
        scale = self.constant(f"{name}.weight", self.weights[f"{name}.weight"])
        bias = self.constant(f"{name}.bias", self.weights[f"{name}.bias"])
        return self.node("LayerNormalization", f"{name}.out", [value, scale, bias], axis=-1, epsilon=epsilon)


def _embeddings(graph: _Graph, shape: BertShape) -> str:
    """Sum word, position and segment embeddings; the segment is always 0, so its row goes into the positions."""
    prefix = "embeddings"
    positions = graph.weights[f"{prefix}.position_embeddings.weight"]
    segment = graph.weights[f"{prefix}.token_type_embeddings.weight"][0]
    words = graph.constant("words", graph.weights[f"{prefix}.word_embeddings.weight"])
    table = graph.constant("positions", positions + segment)
    length = graph.node("Shape", "length", [INPUT], start=1, end=2)
    zero = graph.constant("zero", np.array([0], np.int64))
    places = graph.node("Slice", "places", [table, zero, length, zero])
    word_rows = graph.node("Gather", "word_rows", [words, INPUT])
    summed = graph.node("Add", "embedded", [word_rows, places])
    return graph.normalised(f"{prefix}.LayerNorm", summed, shape.epsilon)


def _layer(graph: _Graph, prefix: str, tokens: str, shape: BertShape) -> str:
    attended = graph.dense(f"{prefix}.attention.output.dense", _attention(graph, prefix, tokens, shape))
    added = graph.node("Add", f"{prefix}.attention.residual", [attended, tokens])
    tokens = graph.normalised(f"{prefix}.attention.output.LayerNorm", added, shape.epsilon)
    wide = graph.node("Gelu", f"{prefix}.wide", [graph.dense(f"{prefix}.intermediate.dense", tokens)])
    narrow = graph.dense(f"{prefix}.output.dense", wide)
    added = graph.node("Add", f"{prefix}.residual", [narrow, tokens])
    return graph.normalised(f"{prefix}.output.LayerNorm", added, shape.epsilon)


def _attention(graph: _Graph, prefix: str, tokens: str, shape: BertShape) -> str:
    """Attend over all tokens; queries, keys and values come from one product, and queries come scaled."""
    head = shape.hidden // shape.heads
    own = f"{prefix}.attention.self"
    scales = {"query": np.float32(1 / np.sqrt(head)), "key": np.float32(1), "value": np.float32(1)}
    matrix = np.concatenate([graph.weights[f"{own}.{part}.weight"] * scale for part, scale in scales.items()])
    bias = np.concatenate([graph.weights[f"{own}.{part}.bias"] * scale for part, scale in scales.items()])
    joint = graph.linear(f"{own}.joint", tokens, matrix, bias)
    parts = [f"{own}.{part}.flat" for part in scales]
    graph.nodes.append(helper.make_node("Split", [joint], parts, name=f"{own}.split", axis=-1, num_outputs=3))
    by_head = graph.constant(f"{own}.by_head", np.array([0, 0, shape.heads, head], np.int64))
    cut = [graph.node("Reshape", f"{flat}.cut", [flat, by_head]) for flat in parts]
    query = graph.node("Transpose", f"{own}.queries", [cut[0]], perm=[0, 2, 1, 3])
    key = graph.node("Transpose", f"{own}.keys", [cut[1]], perm=[0, 2, 3, 1])
    value = graph.node("Transpose", f"{own}.values", [cut[2]], perm=[0, 2, 1, 3])
    weights = graph.node("Softmax", f"{own}.weights", [graph.node("MatMul", f"{own}.scores", [query, key])], axis=-1)
    mixed = graph.node("MatMul", f"{own}.mixed", [weights, value])
    together = graph.node("Transpose", f"{own}.together", [mixed], perm=[0, 2, 1, 3])
    flat = graph.constant(f"{own}.flat", np.array([0, 0, shape.hidden], np.int64))
    return graph.node("Reshape", f"{own}.out", [together, flat])


def _pooled(graph: _Graph, tokens: str, shape: BertShape) -> None:
    if shape.pooling == "mean":
        axis = graph.constant("token_axis", np.array([1], np.int64))
        pooled = graph.node("ReduceMean", "pooled", [tokens, axis], keepdims=0)
    else:
        first = graph.constant("first", np.array(0, np.int64))
        pooled = graph.node("Gather", "pooled", [tokens, first], axis=1)
    graph.node("LpNormalization", OUTPUT, [pooled], axis=-1, p=2)
