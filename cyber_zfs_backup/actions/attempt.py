# SPDX-License-Identifier: GPL-3.0-or-later
"""Trouble on the way becomes an action's result, in one place."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from ..config.job import UsageError
from ..hosts.errors import HostError
from ..zfs.errors import Nature, ZfsError
from ..zfs.parse import GarbledError
from .errors import DamagedRecordError, SourceMissingError
from .lock import LockError
from .result import ActionResult, Outcome, Problem

Answer = TypeVar("Answer")

_log = logging.getLogger(__name__)


def attempt(action: str, do: Callable[[], Answer]) -> Answer | ActionResult:
    """Do an action; trouble with a host or with zfs becomes its result, and so does a mistake of ours.

    Otherwise a mistake in one action would stop the others every night, and the pool fill up. What is not
    this action's alone goes up: usage, a module that is not installed, and a broken assertion (after
    which nothing that this program believes is worth a destroy).
    """
    try:
        return do()
    except HostError as error:
        kind = error.kind.name.lower().replace("_", "-")
        problem = Problem(error.what, error.where, error.remedy, kind)
        return _failed(action, Outcome.PASSING if error.passing else Outcome.FAILED, problem)
    except ZfsError as error:
        passing = error.trouble.nature is Nature.PASSING
        kind = error.trouble.name.lower().replace("_", "-")
        problem = Problem(error.text, error.where, error.remedy, kind)
        return _failed(action, Outcome.PASSING if passing else Outcome.FAILED, problem)
    except (GarbledError, DamagedRecordError) as error:
        what, _, remedy = str(error).rpartition("; ")
        kind = "garbled" if isinstance(error, GarbledError) else "damaged-record"
        return _failed(action, Outcome.FAILED, Problem(what, action, remedy, kind))
    except LockError as error:
        what, _, remedy = str(error).rpartition("; ")
        return _failed(action, Outcome.FAILED, Problem(what, action, f"{remedy}, then run again", "lock"))
    except (UsageError, ModuleNotFoundError, AssertionError):
        raise
    except Exception as error:  # the last resort, in the words of cli/main.py
        _log.debug("%s: internal error", action, exc_info=True)
        what = f"internal error: {type(error).__name__}: {error}"
        remedy = "please report it, run again with --debug"
        return _failed(action, Outcome.FAILED, Problem(what, action, remedy, "internal"))


def missing(
    action: str, error: SourceMissingError, *, where: str = "", kind: str = "missing"
) -> ActionResult:
    """That the source's dataset is not there as a result, for whoever is here to tell of it."""
    what, _, remedy = str(error).rpartition("; ")
    return _failed(action, Outcome.FAILED, Problem(what, where, remedy, kind))


def _failed(action: str, outcome: Outcome, problem: Problem) -> ActionResult:
    return ActionResult(action, outcome, problem.what, problems=(problem,))
