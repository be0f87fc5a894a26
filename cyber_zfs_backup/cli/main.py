# SPDX-License-Identifier: GPL-3.0-or-later
"""One call of the command, from its arguments to its exit code."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

from ..actions.result import RunResult, Surface
from ..config.declared_requests import LookDeclared, NothingDeclaredError, RunDue
from ..config.job import Job, UsageError
from ..model.escape import escape
from . import logs, progress, show
from .options import PROGRAM
from .parser import parse
from .request import Request
from .signals import Interrupted, interruptible
from .surface import LogSurface

_APT_PACKAGES = {
    "dateutil": "python3-dateutil",
    "jinja2": "python3-jinja2",
    "jsonschema": "python3-jsonschema",
    "paramiko": "python3-paramiko",
    "prometheus_client": "python3-prometheus-client",
    "rich": "python3-rich",
}
"""The Debian package of each module that is not in the standard library."""

_log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the arguments ask for and answer the exit code. Never raises an ``Exception``."""
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        with interruptible():
            return _guarded(words)
    except Interrupted as signal:
        # It came before the work began, or while an error was being shown.
        return signal.exit_code


def _guarded(words: Sequence[str]) -> int:
    try:
        request = _meant(parse(words))
    except UsageError as error:
        return _usage(str(error), words)
    except SystemExit:
        # argparse leaves so after --help and --version; everything else comes as a UsageError.
        return 0
    except OSError as error:
        _say(f"{PROGRAM}: error: cannot write to stdout: {error.strerror}")
        return 1
    handler = logs.configure(request.show)
    try:
        code = _work(request, LogSurface(progress.current(request.show, handler)))
    except Interrupted as signal:
        message = f"interrupted by {signal.signal.name}"
        _log.error("%s", message)
        return _broke_off(request, "interrupted", message, signal.exit_code)
    except UsageError as error:
        for line in error.lines[:-1]:
            _log.error("%s", line)
        _log.error("%s", error.lines[-1], exc_info=True)
        code = _broke_off(request, "usage", str(error), 2)
    except ModuleNotFoundError as error:
        code = _missing(request, error)
    except Exception as error:  # the last resort: whatever it is, it becomes one line and an exit code
        code = _internal(request, error)
    if isinstance(request.work, Job) and request.work.metrics is not None:
        _tell_monitoring("metrics.write_after", request.work, str(request.work.metrics))
    return code


def _meant(request: Request) -> Request:
    """The same; but where the file that it would look at does not exist, it is about one tree, as without."""
    work = request.work
    if not isinstance(work, LookDeclared) or os.path.lexists(work.file):
        return request
    if work.refusal:
        raise UsageError(work.refusal)
    return request if work.instead is None else replace(request, work=work.instead)


def _work(request: Request, surface: Surface) -> int:
    result = _dispatch(request, surface)
    if isinstance(request.work, Job):
        _history().record(request.work, result)
    # Where nothing is due, which is nearly always, not even what it needs is imported.
    if isinstance(request.work, RunDue) and (result.did_something or result.outdated):
        _tell_monitoring("declared_metrics.write_after_run", request.work, "metrics")
    code = result.exit_code
    try:
        show.show(result, request.show)
    except OSError as error:
        _log.error("cannot write the result to stdout: %s; the work itself is done", error.strerror)
        code = code or 1
    return code


def _tell_monitoring(action: str, work: Job | RunDue, what: str) -> None:
    """Write the metrics that were asked for. The exit code stays, come what may."""
    surface = LogSurface(progress.Silence())
    try:
        _action(action)(work, surface)
    except Interrupted as signal:
        surface.warn(f"{what}: interrupted by {signal.signal.name}; the run itself is done")


_ACTIONS: Mapping[str, str] = {
    "Job": "run",
    "Forget": "forget",
    "Verify": "verify",
    "Quarantine": "quarantine",
    "ExpireReceived": "receiver.expire_received",
    "SetupReceiver": "setup_receiver",
    "SetupSender": "setup_sender",
    "Restore": "restore",
    "RestoreList": "restore_list",
    "RestoreFile": "restore_list.restore_file",
    "Drill": "drill",
    "Doctor": "doctor",
    "Simulate": "retention.retention_simulate",
    "Explain": "retention.retention_explain",
    "Check": "check",
    "Notify": "notify",
    "ConfigCheck": "configuring.config_check",
    "ConfigShow": "configuring.config_show",
    "RunDue": "due_run.run_due",
    "Status": "status",
    "Metrics": "metrics",
    "Report": "report_page.report_run",
    "every status": "declared_looks.status_declared",
    "every check": "declared_looks.check_declared",
    "every metrics": "declared_metrics.metrics_declared",
    "every report": "declared_report.report_declared",
    "every doctor": "declared_doctor.doctor_declared",
}
"""The module of ``actions`` that does each kind of work, and its function where that has another name. By the
names of the requests: to import all of them would take longer than most of the work."""


def _dispatch(request: Request, surface: Surface) -> RunResult:
    work = request.work
    if not isinstance(work, LookDeclared):
        return _done(type(work).__name__, work, surface)
    try:
        return _done(f"every {work.kind.value}", work, surface)
    except NothingDeclaredError:
        # It says only who is told: then the plain job is what there is to look at, as without a file.
        if work.instead is None:
            raise UsageError(work.refusal) from None
        return _done(type(work.instead).__name__, work.instead, surface)


def _done(kind: str, work: object, surface: Surface) -> RunResult:
    result: RunResult = _action(_ACTIONS[kind])(work, surface)
    return result


def _action(name: str) -> Callable[..., Any]:
    """Imported here, so that --help needs none of what the work needs."""
    module, _, function = name.partition(".")
    found: Callable[..., Any] = getattr(
        importlib.import_module(f"..actions.{module}", __package__), function or module
    )
    return found


def _history() -> ModuleType:
    return importlib.import_module("..actions.history", __package__)


def _usage(message: str, words: Sequence[str]) -> int:
    """A mistake in the arguments; how to log is not known yet, so the lines are written directly."""
    lines = [f"{PROGRAM}: error: {escape(message)}", f"Try '{PROGRAM} --help'."]
    if "--debug" in words:
        import traceback  # noqa: PLC0415 - only here

        lines.insert(0, traceback.format_exc().rstrip())
    _say("\n".join(lines))
    return 2


def _say(line: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # nobody reads our stderr; the exit code still speaks
        logs.to_stderr(line)


def _missing(request: Request, error: ModuleNotFoundError) -> int:
    package = _APT_PACKAGES.get((error.name or "").partition(".")[0])
    if package is None:
        return _internal(request, error)
    message = f"{package} is missing: apt install {package}"
    _log.error("%s", message, exc_info=True)
    return _broke_off(request, "missing-module", message, 2)


def _internal(request: Request, error: Exception) -> int:
    message = f"internal error: {type(error).__name__}: {error}; please report it, run again with --debug"
    _log.error("%s", message, exc_info=True)
    return _broke_off(request, "internal", message, 1)


def _broke_off(request: Request, kind: str, message: str, exit_code: int) -> int:
    if isinstance(request.work, Job):
        _history().record_broken(request.work, request.began, message, exit_code)
    try:
        show.show_error(request, kind, message, exit_code)
    except OSError as error:
        _log.error("cannot write the result to stdout: %s", error.strerror)
    return exit_code
