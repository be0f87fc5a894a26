# SPDX-License-Identifier: GPL-3.0-or-later
"""The floors of the house, read from the imports: a floor knows the floors below it and none above."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "cyber_zfs_backup"
ROOT = Path(__file__).resolve().parents[2] / PACKAGE

FLOORS = ("model", "hosts", "plan", "zfs", "gatekeeper", "config", "actions", "cli")
"""From the ground up, as the design has them."""

PURE = ("model", "plan")
"""No input or output, no clock, no logging: values in, values out."""

HARMLESS = frozenset(
    (
        *("__future__", "abc", "bisect", "calendar", "collections", "copy", "dataclasses", "datetime"),
        *("enum", "fnmatch", "functools", "graphlib", "hashlib", "heapq", "itertools", "json"),
        *("math", "operator", "re", "shlex", "string", "types", "typing", "unicodedata"),
    )
)
"""What a pure floor may import from outside. Whatever is not here may block, or read a clock or the world."""

QUOTE = ("model", "hosts", "plan", "gatekeeper")
"""Who may quote for a shell by itself: hosts/quoting.py, what is pure, and what must be read alone."""

IMPURE_CALLS = frozenset(("open", "input", "print", "breakpoint", "exec", "eval", "__import__"))
CLOCKS = frozenset(("now", "utcnow", "today"))


def imports(source: str, module: tuple[str, ...], *, package: bool) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Every module that ``source`` imports, anywhere in it: line and dotted name, made absolute.

    ``module`` is the importing module's own dotted name; ``package`` is true for an ``__init__.py``.
    """
    here = module if package else module[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, tuple(alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            for alias in node.names:
                yield node.lineno, (*base, alias.name)


def violations(source: str, module: tuple[str, ...], *, package: bool = False) -> list[str]:
    """Where ``source`` breaks the order of the floors, or does what a pure floor may not do."""
    floor = module[1] if len(module) > 1 else ""
    if floor == "__main__":
        return []
    found = []
    for line, imported in imports(source, module, package=package):
        if imported[0] != PACKAGE:
            if floor in PURE and imported[0] not in HARMLESS:
                found.append(f"line {line}: {floor} is pure and may not import {'.'.join(imported)}")
            continue
        other = imported[1] if len(imported) > 1 else ""
        if other not in FLOORS:
            if other != "__version__":
                found.append(f"line {line}: {'.'.join(imported)} is on no floor")
        elif floor not in FLOORS:
            found.append(f"line {line}: {'.'.join(module)} stands outside the floors and imports {other}")
        elif FLOORS.index(other) > FLOORS.index(floor):
            found.append(f"line {line}: {floor} imports {other}, a floor above it")
        elif floor in PURE and other not in PURE:
            found.append(f"line {line}: {floor} is pure and may not import {other}")
    if floor in PURE:
        found += impurities(source)
    return found


def impurities(source: str) -> list[str]:
    """Calls that read a clock or touch the world and need no import of their own."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
            found.append(f"line {node.lineno}: {node.func.id}() in a pure floor")
        if isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS:
            found.append(f"line {node.lineno}: .{node.func.attr}() reads the clock in a pure floor")
    return found


def modules() -> list[Path]:
    """Every module of the package."""
    return sorted(ROOT.rglob("*.py"))


def dotted(path: Path) -> tuple[str, ...]:
    """The dotted name of a module's file."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_floors_below_it(path: Path) -> None:
    found = violations(path.read_text(), dotted(path), package=path.name == "__init__.py")
    assert not found, f"{path.relative_to(ROOT.parent)}: {found}"


def test_shells_are_quoted_for_in_one_place() -> None:
    quoting = {
        dotted(path)
        for path in modules()
        for _, imported in imports(path.read_text(), dotted(path), package=path.name == "__init__.py")
        if imported[0] == "shlex"
    }
    assert {module for module in quoting if module[1] not in QUOTE} == set()
    assert {module for module in quoting if module[1] == "hosts"} == {(PACKAGE, "hosts", "quoting")}


def test_every_directory_of_the_package_is_a_floor() -> None:
    directories = {path.relative_to(ROOT).parts[0] for path in modules() if path.parent != ROOT}
    assert directories <= set(FLOORS)
    assert {"model", "plan", "hosts", "zfs", "config", "actions", "cli"} <= directories


@pytest.mark.parametrize(
    ("module", "source", "said"),
    [
        ("model.names", "from ..hosts.protocol import Host", "model imports hosts, a floor above it"),
        ("model.names", "from ..hosts import protocol", "model imports hosts, a floor above it"),
        ("model.names", "from .. import hosts", "model imports hosts, a floor above it"),
        ("hosts.local", "import cyber_zfs_backup.zfs.argv", "hosts imports zfs, a floor above it"),
        ("zfs.argv", "from cyber_zfs_backup.config import job", "zfs imports config, a floor above it"),
        ("config.job", "def f():\n    from ..actions import run", "config imports actions, a floor above it"),
        ("actions.run", "from ..cli.logs import NOTICE", "actions imports cli, a floor above it"),
        (
            "plan.push",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..zfs.argv import send",
            "plan imports zfs, a floor above it",
        ),
        ("plan.push", "from ..hosts.protocol import Host", "plan is pure and may not import hosts"),
        ("plan.push", "import subprocess", "plan is pure and may not import subprocess"),
        ("plan.push", "import os.path", "plan is pure and may not import os.path"),
        ("plan.push", "from time import monotonic", "plan is pure and may not import time.monotonic"),
        ("model.trees", "import logging", "model is pure and may not import logging"),
        ("model.trees", "def f():\n    import threading", "model is pure and may not import threading"),
        ("plan.expire", "from datetime import datetime\nx = datetime.now()", "reads the clock"),
        ("plan.expire", "open('/etc/passwd')", "open() in a pure floor"),
        ("hosts.local", "from ..helpers import x", "cyber_zfs_backup.helpers.x is on no floor"),
        ("helpers", "from .zfs import x", "cyber_zfs_backup.helpers stands outside the floors"),
    ],
)
def test_a_planted_violation_is_found(module: str, source: str, said: str) -> None:
    found = violations(source, (PACKAGE, *module.split(".")))
    assert len(found) == 1
    assert said in found[0]


def test_a_planted_violation_in_a_package_is_found() -> None:
    assert violations("from ..hosts import local", (PACKAGE, "model"), package=True) == [
        "line 1: model imports hosts, a floor above it"
    ]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("cli.main", "from ..actions.run import run\nfrom .. import __version__\nimport logging"),
        ("actions.push", "from ..config.job import Job\nfrom ..plan import push\nfrom ..hosts import stream"),
        ("plan.push", "from ..model.names import join\nfrom .cost import choose\nfrom datetime import date"),
        ("hosts.local", "import subprocess\nfrom ..model import names"),
    ],
)
def test_what_the_design_allows_is_allowed(module: str, source: str) -> None:
    assert violations(source, (PACKAGE, *module.split("."))) == []
