"""Writes deploy/grafana/dashboards/acd.json from tools/dashboard_rows.py. Same input, same file."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableOption,
    VariableRefresh,
)

from tools.dashboard_panels import Panel, Query
from tools.dashboard_rows import ROWS

TARGET = Path(__file__).parent.parent / "deploy" / "grafana" / "dashboards" / "acd.json"
_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_HEIGHT = 7


def main() -> None:
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(build(), encoding="utf-8")


def build() -> str:
    """The dashboard as JSON text."""
    board = (
        dashboard.Dashboard("Call distributor")
        .uid("acd")
        .tags(["acd", "sip"])
        .description("Queues, service level, agents, calls, SIP and media of the automatic call distributor.")
        .refresh("10s")
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
        .variables(
            [
                _datasource(),
                _variable("queue", "Queue", "acd_queue_waiting"),
                _variable("instance", "Node", "acd_build_info"),
            ]
        )
    )
    ids = itertools.count(1)
    for row in ROWS:
        board.with_row(dashboard.Row(row.title).id(next(ids)))
        for panel in row.panels:
            built = _stat(panel) if panel.kind == "stat" else _timeseries(panel)
            board.with_panel(built.id(next(ids)))
    return json.dumps(board.build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def _datasource() -> dashboard.DatasourceVariable:
    return dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus")


def _variable(name: str, label: str, metric: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(_SOURCE)
        .query(f"label_values({metric}, {name})")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(VariableOption(selected=True, text="All", value="$__all"))
    )


def _timeseries(panel: Panel) -> timeseries.Panel:
    legend = (
        common.VizLegendOptions()
        .display_mode(LegendDisplayMode.LIST)
        .placement(LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    built = timeseries.Panel().fill_opacity(30 if panel.stacked else 8).line_width(1).min(0).legend(legend)
    if panel.stacked:
        built.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    return _common(built, panel)


def _stat(panel: Panel) -> stat.Panel:
    built = (
        stat.Panel()
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.NONE)
    )
    return _common(built, panel)


def _common(built: Any, panel: Panel) -> Any:
    """What both kinds of panel have; their builders share these methods but no type."""
    built.title(panel.title).unit(panel.unit).datasource(_SOURCE).span(panel.span).height(_HEIGHT)
    if panel.description:
        built.description(panel.description)
    if panel.most is not None:
        built.max(panel.most)
    if panel.limits:
        steps = [Threshold(value=value, color=colour) for value, colour in panel.limits]
        built.thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
    for index, query in enumerate(panel.queries):
        built.with_target(_target(query, chr(ord("A") + index)))
    return built


def _target(query: Query, ref_id: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(query.expression).legend_format(query.legend).range().ref_id(ref_id)


if __name__ == "__main__":
    main()
