"""One static page: what the rules said last, what is set aside, how metrics went. It needs no script and no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from ragstone.lake.metric_history import Anomaly, Point, anomaly, points
from ragstone.lake.quality_reports import QualityReport, list_reports
from ragstone.lake.quarantine import count_reasons, open_entries
from ragstone.runtime.settings import Settings

# A line in a box of this size, in the units of the drawing.
_WIDTH, _HEIGHT, _MARGIN = 240, 48, 4
# More points than this cannot be told apart in the box.
_MOST_POINTS: Final = 60


@dataclass(frozen=True)
class Trend:
    """One metric of one dataset over its accepted runs, drawn: `line` and `dot` are places in the box."""

    dataset: str
    metric: str
    newest: float
    lowest: float
    highest: float
    runs: int
    line: str
    dot: tuple[float, float]
    anomaly: Anomaly | None


def quality_page(settings: Settings) -> str:
    """Return the page as HTML."""
    environment = Environment(
        loader=PackageLoader("orchestration"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    root = settings.lake_root
    entries = open_entries(root).to_pylist()
    return environment.get_template("quality.html").render(
        made_at=datetime.now(UTC),
        reports=_newest(list_reports(settings.reports_root)),
        reasons=count_reasons(entries),
        set_aside=len(entries),
        trends=trends(points(root, accepted=True)),
        box=(_WIDTH, _HEIGHT),
    )


def trends(measured: Sequence[Point]) -> list[Trend]:
    """Return the trend of every metric, by dataset and name; `measured` has accepted runs alone, oldest first."""
    series: dict[tuple[str, str], list[float]] = {}
    for point in measured:
        series.setdefault((point.dataset, point.metric), []).append(point.value)
    return [_trend(dataset, metric, values) for (dataset, metric), values in sorted(series.items())]


def _trend(dataset: str, metric: str, values: Sequence[float]) -> Trend:
    shown = values[-_MOST_POINTS:]
    places = _places(shown)
    return Trend(
        dataset=dataset,
        metric=metric,
        newest=values[-1],
        lowest=min(shown),
        highest=max(shown),
        runs=len(values),
        line=" ".join(f"{x:.1f},{y:.1f}" for x, y in places),
        dot=places[-1],
        anomaly=anomaly(values[-1], values[:-1]),
    )


def _places(values: Sequence[float]) -> list[tuple[float, float]]:
    """Return where values stand in the box, the greatest at the top; equal values lie in the middle."""
    low, high = min(values), max(values)
    step = (_WIDTH - 2 * _MARGIN) / max(len(values) - 1, 1)
    share = [(value - low) / (high - low) if high > low else 0.5 for value in values]
    return [(_MARGIN + at * step, _HEIGHT - _MARGIN - part * (_HEIGHT - 2 * _MARGIN)) for at, part in enumerate(share)]


def _newest(reports: Sequence[QualityReport]) -> list[QualityReport]:
    """Return the newest report of each dataset, by dataset."""
    oldest_first = reversed(reports)
    return [report for _, report in sorted({report.dataset: report for report in oldest_first}.items())]
