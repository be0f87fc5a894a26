# SPDX-License-Identifier: GPL-3.0-or-later
"""What may go wrong with a run, as values that are drawn, and how a rig is made to suffer it."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from cyber_zfs_backup.hosts.errors import HostError, HostErrorKind
from tests.fake.cuts import Cut, Victim
from tests.fake.host import cut_in_listing
from tests.property.two_copies import TwoCopies, WatchedHost


@dataclass(frozen=True, slots=True)
class Trouble:
    """One kind of trouble at the ``at``-th occasion; ``cuts`` are those of the run's connections."""

    kind: str
    at: int = 0
    cuts: tuple[Cut | None, ...] = ()

    def strike(self, rig: TwoCopies) -> None:
        """Let it happen in the next run."""
        if self.kind == "crash":
            rig.crash(self.at)
        elif self.kind == "cuts":
            rig.link.cuts.extend(self.cuts)
        elif self.kind == "unreachable":
            rig.receiver.faults.refuse_after = self.at
        elif self.kind == "source breaks":
            rig.source.faults.broken_after = self.at
        elif self.kind == "receiver breaks":
            rig.receiver.faults.broken_after = self.at
        elif self.kind == "answer lost":
            host = rig.receiver
            assert isinstance(host, WatchedHost)
            host.faults.hook = LostAnswer(self.at)
        elif self.kind == "garbled":
            rig.receiver.faults.garble = cut_in_listing(0.3 + 0.1 * (self.at % 7))


class LostAnswer:
    """The answer of one command never arrives, although it ran; and nothing after it is heard either."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, moment: str, argv: tuple[str, ...]) -> None:
        if moment == "after":
            self.left -= 1
            if self.left < 0:
                raise HostError(HostErrorKind.UNREACHABLE, "offsite", "connection lost", "try again later")


_cuts = st.builds(Cut, st.sampled_from(list(Victim)), st.integers(0, 100_000))
_cut_lists = st.lists(st.one_of(st.none(), _cuts), min_size=1, max_size=3).map(tuple)

troubles = st.one_of(
    st.builds(Trouble, st.just("cuts"), cuts=_cut_lists),
    st.builds(Trouble, st.just("crash"), st.integers(0, 60)),
    st.builds(Trouble, st.just("cuts"), cuts=_cuts.map(lambda cut: (cut,))),
    st.builds(
        Trouble,
        st.sampled_from(["unreachable", "source breaks", "receiver breaks", "answer lost", "garbled"]),
        st.integers(0, 14),
    ),
)
"""Half of them are deaths in the middle of a stream: those are what a plan is left half done by."""
