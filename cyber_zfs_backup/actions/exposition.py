# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics in Prometheus's text format, for the textfile collector of node_exporter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..plan.metrics import Family
from . import atomic

if TYPE_CHECKING:
    from prometheus_client.core import Metric

MODE = 0o644
"""node_exporter reads it as a user of its own."""


def rendered(families: Sequence[Family]) -> str:
    """The text, with each label escaped. Raises ``ModuleNotFoundError`` without prometheus-client."""
    # A tenth of a second to import: only who asks for metrics pays for it.
    from prometheus_client import generate_latest  # noqa: PLC0415 - see above
    from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415 - see above
    from prometheus_client.registry import Collector, CollectorRegistry  # noqa: PLC0415 - see above

    class Known(Collector):
        """What is known already."""

        def collect(self) -> Iterable[Metric]:
            for family in families:
                metric = GaugeMetricFamily(family.name, family.about, labels=family.labels)
                for labels, value in family.samples.items():
                    metric.add_metric(labels, value)
                yield metric

    registry = CollectorRegistry()
    registry.register(Known())
    return generate_latest(registry).decode()


def write(path: Path, families: Sequence[Family]) -> None:
    """Put the metrics into a file, whole. Raises ``OSError``, ``ModuleNotFoundError``."""
    atomic.write(str(path), rendered(families).encode(), MODE)
