"""A document in reports and logs: lines that tell of it go, values in JSON documents are blanked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ragstone.lake.purge_record import PurgeRecord, replace_private
from ragstone.runtime.traces import Traces, leaves

_FOLDERS: Final = ("logs", "reports")
_PURGED: Final = "[purged]"
_LOG_SUFFIX: Final = ".log"


def files_with_traces(home: Path, record: PurgeRecord) -> list[str]:
    """Return the reports and logs that tell of a document, below the home."""
    return [str(path.relative_to(home)) for path, _ in _changed(home, record)]


def purge_files(home: Path, record: PurgeRecord) -> list[str]:
    """Take a document out of reports and logs, and return which were written anew."""
    changed = []
    for path, content in _changed(home, record):
        encoded = content.encode("utf-8", "surrogateescape")
        if path.suffix == _LOG_SUFFIX:
            # Whoever writes this log has it open, and would go on writing to a file that has been replaced.
            path.write_bytes(encoded)
        else:
            mode = path.stat().st_mode
            replace_private(path, encoded)
            path.chmod(mode)
        changed.append(str(path.relative_to(home)))
    return changed


def _changed(home: Path, record: PurgeRecord) -> Iterator[tuple[Path, str]]:
    for path in sorted(path for folder in _FOLDERS for path in (home / folder).rglob("*") if path.is_file()):
        content = path.read_bytes().decode("utf-8", "surrogateescape")
        purged = _purged_json(content, record) if path.suffix == ".json" else _purged_lines(content, record)
        if purged != content:
            yield path, purged


def _purged_lines(content: str, record: PurgeRecord) -> str:
    lines = content.splitlines(keepends=True)
    return "".join(line for line in lines if record.document_id not in line and not record.traces.match(line))


def _purged_json(content: str, record: PurgeRecord) -> str:
    try:
        document = json.loads(content)
    except ValueError:
        return _purged_lines(content, record)
    if not any(map(record.traces.match, leaves(document))):
        return content
    return json.dumps(_blanked(document, record.traces), indent=2, ensure_ascii=False) + "\n"


def _blanked(value: Any, traces: Traces) -> Any:
    if isinstance(value, str):
        return _PURGED if traces.match(value) else value
    if isinstance(value, list):
        return [_blanked(inner, traces) for inner in value]
    if isinstance(value, dict):
        return {_blanked(name, traces): _blanked(inner, traces) for name, inner in value.items()}
    return value
