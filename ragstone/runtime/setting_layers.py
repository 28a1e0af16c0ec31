"""How layers of settings are read, laid over each other and held against the model, with errors that name the layer.

Everything here works for any model whose sections nest one level; `settings.py` holds ours.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, Tag, ValidationError

from ragstone.runtime.errors import ConfigError

PREFIX = "RAGSTONE_"
_ALL_SETTINGS = "docs/settings.md lists them all"

Model = TypeVar("Model", bound=BaseModel)
Layer = Mapping[str, Any]


def from_yaml(path: Path) -> dict[str, Any]:
    """Return a file's settings; none when the file does not exist. Raises ConfigError."""
    if not path.exists():
        return {}
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as broken:
        raise ConfigError("a settings file cannot be read", where=str(path), got=broken, wanted="YAML") from broken
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(
            "a settings file is not a mapping", where=str(path), got=type(content).__name__, wanted="sections with keys"
        )
    return content


def from_environment(model: type[BaseModel], environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings that `RAGSTONE_…` variables make; empty ones count as unset. Raises ConfigError."""
    layer: dict[str, Any] = {}
    for name, value in environment.items():
        if name.startswith(PREFIX) and value:
            _place(model, layer, name, value)
    return layer


def validated(model: type[Model], layers: Sequence[tuple[str, Layer]]) -> Model:
    """Return the model of all layers, later ones winning. Raises ConfigError that names the layer at fault."""
    merged: dict[str, Any] = {}
    for _, layer in layers:
        merged = merge(merged, layer)
    try:
        return model.model_validate(merged)
    except ValidationError as invalid:
        raise _config_error(model, invalid, layers) from invalid


def merge(low: Layer, high: Layer) -> dict[str, Any]:
    """Return `low` overlaid with `high`; mappings merge, everything else is replaced."""
    merged = dict(low)
    for key, value in high.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def _place(model: type[BaseModel], layer: dict[str, Any], name: str, value: str) -> None:
    """Put one variable into the layer: `RAGSTONE_HOME` at the top, `RAGSTONE_LLM_URL` into its section."""
    key = name.removeprefix(PREFIX).lower()
    section, _, setting = key.partition("_")
    if key in model.model_fields:
        layer[key] = _parsed(model, key, value)
        return
    inner = _section(model, section)
    if inner is None or setting not in inner.model_fields:
        raise ConfigError(
            f"no setting answers to the variable {name}",
            where="the environment",
            got=name,
            wanted=_closest(name, _variables(model)),
            next_step=f"unset {name} or correct its name; {_ALL_SETTINGS}",
        )
    layer.setdefault(section, {})[setting] = _parsed(inner, setting, value)


def _parsed(model: type[BaseModel], setting: str, value: str) -> Any:
    # Only collections are written as YAML (JSON is YAML too); everything else pydantic reads from its text.
    is_collection = any(word in str(model.model_fields[setting].annotation) for word in ("tuple", "dict"))
    return yaml.safe_load(value) if is_collection else value


def _section(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    annotation = model.model_fields[name].annotation if name in model.model_fields else None
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _variables(model: type[BaseModel]) -> list[str]:
    names: list[str] = []
    for field in model.model_fields:
        inner = _section(model, field)
        settings = [f"{field}_{setting}" for setting in inner.model_fields] if inner else [field]
        names.extend(f"{PREFIX}{setting}".upper() for setting in settings)
    return names


def _config_error(model: type[BaseModel], invalid: ValidationError, layers: Sequence[tuple[str, Layer]]) -> ConfigError:
    first = invalid.errors()[0]
    path, section = _located(model, [str(part) for part in first["loc"]])
    missing = first["type"] == "missing"
    origin = next((name for name, layer in reversed(layers) if _has(layer, path[:-1] if missing else path)), "defaults")
    if first["type"] == "extra_forbidden":
        return ConfigError(
            f"there is no setting {'.'.join(path)}",
            where=origin,
            got=path[-1],
            wanted=_closest(path[-1], list(section.model_fields)),
            next_step=f"correct or remove that key; {_ALL_SETTINGS}",
        )
    return ConfigError(
        f"the setting {'.'.join(path)} is {'missing' if missing else 'not usable'}",
        where=origin,
        got="nothing" if missing else first["input"],
        wanted=first["msg"],
        next_step=f"correct that key; {_ALL_SETTINGS}",
    )


def _located(model: type[BaseModel], location: Sequence[str]) -> tuple[list[str], type[BaseModel]]:
    """Return where an error stands as its author wrote it, and the innermost model on the way.

    Where a mapping, such as `sources`, holds one of several models, validation puts the model's tag into the location.
    """
    path, rest, inner = [], list(location), model
    while rest:
        path.append(rest.pop(0))
        field = inner.model_fields.get(path[-1])
        models = _models(field.annotation) if field else {}
        if field and get_origin(field.annotation) is dict and rest:
            path.append(rest.pop(0))
            tag = rest.pop(0) if rest and rest[0] in models else ""
            inner = models.get(tag, inner)
        elif models:
            inner = next(iter(models.values()))
    return path, inner


def _models(annotation: Any, tag: str = "") -> dict[str, type[BaseModel]]:
    """Return the models inside an annotation, by their tags in a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {tag: annotation}
    tags = [part.tag for part in getattr(annotation, "__metadata__", ()) if isinstance(part, Tag)]
    found: dict[str, type[BaseModel]] = {}
    for inner in get_args(annotation):
        found |= _models(inner, tags[0] if tags else tag)
    return found


def _closest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"{near[0]!r}, perhaps" if near else f"one of {', '.join(sorted(known))}"


def _has(layer: Any, path: Sequence[str]) -> bool:
    for part in path:
        if not isinstance(layer, Mapping) or part not in layer:
            return False
        layer = layer[part]
    return True
