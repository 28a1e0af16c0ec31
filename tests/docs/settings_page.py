"""The page docs/settings.md, drawn from the settings model: `python -m tests.docs.settings_page > docs/settings.md`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from ragstone.runtime.settings import ApiKey, Settings
from ragstone.runtime.source_settings import SOURCE_KINDS, RecordColumns

_CHECKOUT = Path(__file__).resolve().parents[2]
_HEAD = """# Settings

Precedence: arguments > environment > `<home>/conf.yaml` > `conf/<env>.yaml` > `conf/base.yaml`. A variable is named
`RAGSTONE_<SECTION>_<FIELD>`; lists and mappings are written as JSON. Unknown keys and variables are refused.
Secrets (`redis.url`, `llm.api_key`) come from the environment or a file that only the service can read.
"""


def page() -> str:
    """Return the page's Markdown."""
    parts = [_HEAD, _section("Top level", Settings, only_plain=True)]
    for name, field in Settings.model_fields.items():
        if _is_nested(name, field) and name != "sources":
            parts.append(_section(f"`{name}`", field.annotation))
    for kind in SOURCE_KINDS:
        parts.append(
            _section(f"`sources.<name>` with `kind: {get_args(kind.model_fields['kind'].annotation)[0]}`", kind)
        )
    parts.append(_section("`sources.<name>.records`", RecordColumns))
    parts.append(_section("`serving.api_keys[]`", ApiKey))
    return "\n".join(parts)


def _section(title: str, model: type[BaseModel], only_plain: bool = False) -> str:
    fields = {name: field for name, field in model.model_fields.items() if not (only_plain and _is_nested(name, field))}
    rows = [f"| `{name}` | {_default(field)} |" for name, field in fields.items()]
    first_line = (model.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
    return "\n".join(
        [f"## {title}", "", " ".join(first_line.split()), "", "| key | default |", "| --- | --- |", *rows, ""]
    )


def _is_nested(name: str, field) -> bool:
    return name == "sources" or (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel))


def _default(field) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, tuple):
        value = list(value)
    if isinstance(value, Path):
        return f"`{_place(value)}`"
    return f"`{value!r}`" if value not in (None, {}, []) else "none"


def _place(path: Path) -> str:
    """Return a default path without the place this checkout or environment happens to stand in."""
    for root, name in ((Path(sys.prefix), "<environment>"), (_CHECKOUT, "<checkout>")):
        if path.is_relative_to(root):
            return f"{name}/{path.relative_to(root)}"
    return str(path)


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 -- the page goes to a file
