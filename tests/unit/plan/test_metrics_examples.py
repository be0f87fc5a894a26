# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules for alerts and the dashboard that are shipped: they ask for nothing that is not told."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from cyber_zfs_backup.plan.metrics import families

ETC = Path(__file__).parents[3] / "etc"
ALERTS = yaml.safe_load((ETC / "prometheus-alerts.yml").read_text())
DASHBOARD = json.loads((ETC / "grafana-dashboard.json").read_text())
TOLD = {each.name: each.labels for each in families([], [], "1")}
OTHERS = {"node_textfile_mtime_seconds"}
"""What node_exporter tells of the file itself."""

RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
PANELS = DASHBOARD["panels"]
LABELS = {"job", "instance", "file", *(label for labels in TOLD.values() for label in labels)}


def names_in(expression: str) -> set[str]:
    """The metrics that an expression asks for: what is no function, no keyword and no label."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\"[^\"]*\"|\b(on|by|group_left) \([^)]*\)", " ", expression)
    words = {"unless", "and", "or", "offset", *(found[1] for found in re.finditer(r"(\w+)\(", bare))}
    return {word for word in re.findall(r"\b[a-z_]\w*", bare) if word not in words and "_" in word}


def expressions() -> Iterator[tuple[str, str]]:
    yield from ((rule["alert"], rule["expr"]) for rule in RULES)
    yield from ((panel["title"], each["expr"]) for panel in PANELS for each in panel["targets"])
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["definition"].removeprefix("label_values(").rpartition(",")[0]


@pytest.mark.parametrize(("where", "expression"), list(expressions()), ids=lambda text: text[:30])
def test_every_metric_that_is_asked_for_is_told(where: str, expression: str) -> None:
    asked = names_in(expression)
    assert asked, where
    assert asked - TOLD.keys() - OTHERS == set()
    matched = re.findall(r"(\w+) *=~?\s*\"", expression)
    grouped = re.findall(r"\b(?:on|by) \(([^)]*)\)", expression)
    assert {*matched, *(each for names in grouped for each in names.split(", "))} <= LABELS
    for open_, close in ("()", "{}", "[]"):
        assert expression.count(open_) == expression.count(close)


def test_the_names_are_found() -> None:
    """Were one misspelt, the test above would see it."""
    asked = names_in(
        '(time() - cyber_zfs_x{a_b="c_d"} > on (job, a_b) group_left () y_z) unless absent(u_v[7d]) == 1'
    )
    assert asked == {"cyber_zfs_x", "y_z", "u_v"}


def test_every_metric_is_of_use() -> None:
    used = {name for _, expression in expressions() for name in names_in(expression)}
    assert TOLD.keys() - used <= {
        "cyber_zfs_backup_last_run_timestamp_seconds",
        "cyber_zfs_backup_next_run_timestamp_seconds",
    }


def test_the_alerts_are_whole() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES) >= 10
    for rule in RULES:
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"].keys() == {"summary", "description"}
        assert re.fullmatch(r"\d+[dhm]", rule.get("for", "1h"))
        told = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
        asked = names_in(rule["expr"])
        known = {label for name in asked for label in TOLD.get(name, ("file",))} | {"instance"}
        assert told <= known, rule["alert"]


@pytest.mark.parametrize(
    "what",
    [
        "newest_snapshot_timestamp_seconds > cyber_zfs_backup_warn_after_seconds",
        "newest_snapshot_timestamp_seconds > cyber_zfs_backup_critical_after_seconds",
        "newest_received_timestamp_seconds > cyber_zfs_backup_copy_warn_after_seconds",
        "newest_received_timestamp_seconds > cyber_zfs_backup_copy_critical_after_seconds",
        "cyber_zfs_backup_last_run_exit_code",
        "node_textfile_mtime_seconds",
        "absent(cyber_zfs_backup_build_info)",
        "cyber_zfs_backup_paused[7d]",
        "cyber_zfs_backup_kept_bytes >",
    ],
)
def test_what_there_are_alerts_for(what: str) -> None:
    assert [rule for rule in RULES if what in rule["expr"]]


def test_each_question_of_the_dashboard_goes_to_the_chosen_prometheus() -> None:
    variables = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    assert all(found == chosen for found in values_of("datasource", DASHBOARD))
    for panel in PANELS:
        for each in panel["targets"]:
            used = set(re.findall(r"\$(\w+)", each["expr"]))
            assert used <= variables.keys() - {"datasource"}
            assert used == {"job", "instance", "dataset"}


def values_of(key: str, value: Any) -> Iterator[Any]:
    """All that stands under a key, anywhere."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name == key:
                yield each
            yield from values_of(key, each)
    elif isinstance(value, list):
        for each in value:
            yield from values_of(key, each)


def test_the_panels_lie_beside_each_other() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for panel in PANELS:
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24
        assert len({each["refId"] for each in panel["targets"]}) == len(panel["targets"])
    for one, other in combinations([panel["gridPos"] for panel in PANELS], 2):
        apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart or below
