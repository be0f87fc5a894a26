# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables for people: on a terminal as wide as it is, elsewhere as wide as they need to be."""

from __future__ import annotations

import io
import shutil
from typing import TextIO

from ..actions.result import Table
from ..model.escape import escape

_WIDE = 10_000


def lines(table: Table, stream: TextIO | None) -> list[str]:
    """The table's lines, without columns in which nothing stands."""
    # A quarter of a second to import: only who sees a table pays for it.
    from rich.console import Console  # noqa: PLC0415 - see above
    from rich.table import Table as Rich  # noqa: PLC0415 - see above
    from rich.text import Text  # noqa: PLC0415 - see above

    kept = [number for number, _ in enumerate(table.columns) if any(row[number] for row in table.rows)]
    terminal = stream is not None and stream.isatty()
    written = io.StringIO()
    width = shutil.get_terminal_size().columns if terminal else _WIDE
    console = Console(
        file=written, width=width, color_system=None, highlight=False, markup=False, emoji=False
    )
    made = Rich(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
    for number in kept:
        made.add_column(Text(table.columns[number]), overflow="fold")
    for row in table.rows:
        # A Text is shown as it is: what looks like markup in a name stays a name.
        made.add_row(*(Text(escape(row[number])) for number in kept))
    console.print(made)
    return [line.rstrip() for line in written.getvalue().splitlines()]
