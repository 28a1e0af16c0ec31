"""What set-up leaves of a model: a folder with its files and `model.json`, which says what they are.

`model.json` is written last, so a folder that has one is whole.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from ragstone.runtime.errors import DependencyUnavailableError
from ragstone.runtime.settings import Settings

CARD_NAME: Final = "model.json"
ONNX_NAME: Final = "model.onnx"
WEIGHTS_NAME: Final = "model.safetensors"
TOKENIZER_NAME: Final = "tokenizer.json"
INT8_SUFFIX: Final = ".int8"

# SHA-256 of the weights that a well-known name must have, wherever they come from.
PINNED_WEIGHTS: Final[Mapping[str, str]] = {
    "all-MiniLM-L6-v2": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
}


@dataclass(frozen=True)
class ModelCard:
    """What a model is. `weights_sha256` and the values of `files` are in hexadecimal.

    `max_tokens` is the longest input the model was made for, special tokens included; `files` holds the SHA-256 of
    every exported file by name; `source` is the folder the weights came from.
    """

    model_id: str
    weights_sha256: str
    dim: int
    max_tokens: int
    precision: str
    pooling: str
    source: str
    files: Mapping[str, str]


def folder_of(assets: Path, model_id: str) -> Path:
    """Return the assets folder of a model; a slash in its name becomes `--`."""
    return assets / "models" / model_id.replace("/", "--")


def model_folder(settings: Settings) -> Path:
    """Return the assets folder of the served space's model, as it was exported."""
    return folder_of(settings.assets, settings.embedding.served.model)


def write_card(folder: Path, card: ModelCard) -> None:
    """Write `model.json` at once."""
    scratch = folder / f".{CARD_NAME}.new"
    scratch.write_text(json.dumps(asdict(card), indent=2) + "\n", "utf-8")
    scratch.replace(folder / CARD_NAME)


@functools.cache
def read_card(folder: Path) -> ModelCard:
    """Return what the model in a folder is; read once per process.

    Raises DependencyUnavailableError when there is none, or when it is not the model its name promises.
    """
    path = folder / CARD_NAME
    try:
        card = ModelCard(**json.loads(path.read_text("utf-8")))
    except FileNotFoundError as missing:
        raise _unusable("the model has not been exported", path, "no file", CARD_NAME) from missing
    except (ValueError, TypeError) as broken:
        raise _unusable("the description of the model cannot be read", path, broken, "JSON as exported") from broken
    check_pin(card.model_id, card.weights_sha256, path)
    return card


@functools.cache
def verified_file(folder: Path, name: str) -> Path:
    """Return a file of the model once it has been hashed against `model.json`; hashed once per process.

    Raises DependencyUnavailableError when it is missing or another file than was exported.
    """
    wanted = read_card(folder).files.get(name, "a file of the export")
    path = folder / name
    got = sha256(path) if path.is_file() else "no file"
    if got != wanted:
        raise _unusable("a file of the model is not the one that was exported", path, got, f"SHA-256 {wanted}")
    return path


def check_pin(model_id: str, weights_sha256: str, where: Path) -> None:
    """Refuse weights that are not those pinned for the name. Raises DependencyUnavailableError."""
    wanted = PINNED_WEIGHTS.get(model_id, weights_sha256)
    if weights_sha256 != wanted:
        raise _unusable(f"the weights of {model_id} are not the pinned ones", where, weights_sha256, wanted)


def check_weights(card: ModelCard) -> None:
    """Refuse when the weights a model was taken in from have changed since. Raises DependencyUnavailableError."""
    weights = Path(card.source) / WEIGHTS_NAME
    got = sha256(weights) if weights.is_file() else "no file"
    if got != card.weights_sha256:
        raise _unusable(f"the weights of {card.model_id} have changed", weights, got, f"SHA-256 {card.weights_sha256}")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unusable(what: str, where: Path, got: object, wanted: object) -> DependencyUnavailableError:
    return DependencyUnavailableError(
        what,
        where=str(where),
        got=got,
        wanted=wanted,
        next_step="export the model anew with `python -m ragstone.embedding.export`",
    )
