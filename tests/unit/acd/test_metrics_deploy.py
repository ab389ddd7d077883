"""The dashboard, the rules and the scrape configuration speak of metrics that there are."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from pathlib import Path

import promql_parser
import pytest
import yaml

from tests.support.metrics import Bench, calls
from tests.support.prometheus import DASHBOARD, ROOT, RULES, needs, panel_queries
from tools import make_dashboards

DEPLOY = ROOT / "deploy"
RULE_FILES = sorted(RULES.glob("*.yml"))
RULE_TESTS = Path(__file__).parent / "prometheus_rules.yml"
NOT_OURS = {"up"}


def rules() -> list[dict[str, str]]:
    groups = [group for path in RULE_FILES for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def selected(expression: str) -> set[str]:
    """The metric names that an expression reads."""
    found: set[str] = set()

    def visit(node: object) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            found.add(str(node.name))
        return True

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found


@pytest.fixture(scope="module")
def exported() -> set[str]:
    bench = Bench()
    for fact in calls(seed=1, count=50):
        bench.metrics(fact)
    return asyncio.run(bench.scrape()).names


def test_the_dashboard_is_what_its_script_makes():
    assert DASHBOARD.read_text() == make_dashboards.build()


def test_the_dashboard_has_its_rows_and_no_two_panels_in_one_place():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    rows = [panel["title"] for panel in panels if panel["type"] == "row"]
    assert rows == ["Queues", "Service level", "Agents", "Calls", "Trunks", "SIP", "Media", "Node"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) == 23


@pytest.mark.parametrize(("panel", "expression"), panel_queries())
def test_a_panel_asks_for_metrics_that_there_are(panel: str, expression: str, exported: set[str]):
    names = selected(expression)
    assert names
    assert names <= exported, panel


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("record") or rule.get("alert"))
def test_a_rule_asks_for_metrics_that_there_are(rule: dict[str, str], exported: set[str]):
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    assert selected(rule["expr"]) <= exported | recorded | NOT_OURS


def test_every_alert_says_how_bad_it_is_what_happened_and_what_to_do():
    for rule in rules():
        if "alert" in rule:
            assert rule["labels"]["severity"] in {"critical", "warning", "info"}, rule["alert"]
            assert {"summary", "action"} == set(rule["annotations"]), rule["alert"]


def test_every_alert_is_tried_by_the_rule_tests():
    tried = RULE_TESTS.read_text()
    assert [rule["alert"] for rule in rules() if "alert" in rule and rule["alert"] not in tried] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "rules", *map(str, RULE_FILES)],
        ["check", "config", str(DEPLOY / "prometheus" / "prometheus.yml")],
        ["test", "rules", str(RULE_TESTS)],
    ],
    ids=["check rules", "check config", "test rules"],
)
def test_promtool_is_content(arguments: list[str]):
    done = subprocess.run([needs("promtool"), *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


async def test_promtool_finds_nothing_to_say_against_the_exported_text():
    bench = Bench()
    for fact in calls(seed=2, count=50):
        bench.metrics(fact)
    text = await bench.metrics.render()
    done = subprocess.run(
        [needs("promtool"), "check", "metrics"], input=text, capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_about_metrics_lists_each_of_ours_and_no_other(exported: set[str]):
    page = (ROOT / "docs" / "metrics.md").read_text()
    listed = set(re.findall(r"^\| `(acd_\w+)`", page, re.MULTILINE))
    ours = {re.sub(r"_(bucket|sum|count)$", "", name) for name in exported if name.startswith("acd_")}
    assert listed == ours


def test_what_compose_mounts_is_there_and_scraped_where_the_service_listens():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for service in compose["services"].values():
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            assert (DEPLOY / source).exists() if source.startswith(".") else source in compose["volumes"]
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"][0]
    listens = compose["services"]["acd"]["environment"]["ACD_HTTP__LISTEN"]
    assert scraped["static_configs"] == [{"targets": [listens]}]
    assert scraped["job_name"] == "acd"


def test_grafana_is_given_the_interval_that_prometheus_scrapes_by():
    source = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())
    scrape = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["global"]
    assert source["datasources"][0]["jsonData"]["timeInterval"] == scrape["scrape_interval"]
