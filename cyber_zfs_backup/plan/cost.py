# SPDX-License-Identifier: GPL-3.0-or-later
"""Which form of the incremental is cheaper, from what was measured.

Seconds in a software-emulated guest, 21 datasets, one small new snapshot each, OpenZFS 2.1.11:

====================================  ============  =============
step                                  3 snapshots   44 snapshots
====================================  ============  =============
``send -R -I`` of the tree             10.5          98.0
``receive`` of that package            41.6          70.3
21 times ``send -I``                   13.7          22.4
21 times ``receive``                   13.3          16.6
====================================  ============  =============

With properties (``-p``, and the ``-x`` of ours) in another run the same 21 sends took 1.08 and 1.12 times as
long as without them, the receives 1.76 and 2.15 times.

Only the ratios matter. Two points a row give the two coefficients: seconds for each dataset, and
seconds for each snapshot that exists. On other machines all of them shrink alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class SendMode(Enum):
    """What was asked for."""

    AUTO = "auto"
    REPLICATE = "replicate"
    LEVEL = "level"


class Form(Enum):
    """How the incremental is sent."""

    REPLICATE = "replicate"
    LEVEL = "level"


@dataclass(frozen=True, slots=True)
class Shape:
    """What the cost depends on.

    ``datasets`` to advance, ``created`` of them new on the receiver, ``snapshots`` that exist in the
    whole tree (by the root's own number where only some were asked for), ``carrying`` datasets whose
    properties must travel.
    """

    datasets: int
    created: int
    snapshots: int
    carrying: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """The form, and why in one line."""

    form: Form
    reason: str


_REPLICATE_DATASET = 2.08
_REPLICATE_SNAPSHOT = 0.135
_LEVEL_SEND = 0.64
_LEVEL_RECEIVE = 0.62
_LEVEL_SNAPSHOT = 0.014
_LEVEL_PROPERTIES = 0.43
_CONNECTION = 3.6


def replicate_cost(shape: Shape) -> float:
    """Seconds for one ``send -R -I`` and its receive, in the guest of the table above."""
    return _CONNECTION + shape.datasets * _REPLICATE_DATASET + shape.snapshots * _REPLICATE_SNAPSHOT


def level_cost(shape: Shape) -> float:
    """Seconds for a ``send -I`` of each dataset on joined connections, in the same guest.

    A send overlaps with the receive of the stream before it, so the longer of the two counts. A new
    dataset needs two streams.
    """
    streams = shape.datasets + shape.created
    return (
        _CONNECTION
        + streams * max(_LEVEL_SEND, _LEVEL_RECEIVE)
        + _LEVEL_RECEIVE
        + shape.snapshots * _LEVEL_SNAPSHOT
        + shape.carrying * _LEVEL_PROPERTIES
    )


def choose(shape: Shape) -> Choice:
    """The cheaper form for a tree where both are possible."""
    replicate, level = replicate_cost(shape), level_cost(shape)
    figures = (
        f"for {shape.datasets} datasets ({shape.created} new) with about {shape.snapshots} snapshots "
        f"level costs about {level / replicate:.2f} of replicate"
    )
    return Choice(Form.LEVEL if level <= replicate else Form.REPLICATE, figures)
