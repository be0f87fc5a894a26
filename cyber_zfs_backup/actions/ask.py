# SPDX-License-Identifier: GPL-3.0-or-later
"""The questions of a push: the cheap one by name, and the whole one; both sides at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..model.names import join
from ..model.trees import Tree
from ..plan.compare import Token
from ..plan.ledger import Ledger
from ..zfs import parse
from ..zfs.client import Zfs
from ..zfs.properties import Grants, grants
from .ends import Ends, PushFacts

First = TypeVar("First")
Second = TypeVar("Second")


@dataclass(frozen=True, slots=True)
class Answers:
    """What both sides said. ``receiver`` is ``None`` where its root does not exist; ``grants`` is what the
    receiver lets us do there."""

    source: Tree
    receiver: Tree | None
    tokens: Mapping[str, Token]
    grants: Grants

    @property
    def complete(self) -> bool:
        """Whether this was the whole question."""
        return self.source.complete


class Asked(Generic[First]):
    """A question that is asked in the background; calling it waits for the answer (or its error).

    A daemon thread and not an executor's: a run that is interrupted must not wait for a far side that
    has gone silent.
    """

    def __init__(self, question: Callable[[], First]) -> None:
        self._future: Future[First] = Future()
        threading.Thread(target=self._ask, args=(question,), name="ask", daemon=True).start()

    def _ask(self, question: Callable[[], First]) -> None:
        try:
            self._future.set_result(question())
        except BaseException as error:
            # Whatever it is, it is raised again where the answer is wanted.
            self._future.set_exception(error)

    def __call__(self) -> First:
        return self._future.result()


def both(first: Callable[[], First], second: Callable[[], Second]) -> tuple[First, Second]:
    """Do both at the same time and answer both; the first's error wins where both fail."""
    other = Asked(second)
    return first(), other()


def ask_receiver(ends: Ends) -> parse.Properties | None:
    """The receiver's datasets with their resume tokens; ``None`` where its root does not exist."""
    return ends.receiver.partial_properties(ends.destination.dataset)


def ask_cheap(
    ends: Ends,
    facts: PushFacts,
    ledger: Ledger,
    target: str,
    receiver_about: Callable[[], parse.Properties | None],
) -> Answers:
    """Ask both sides, by name, for what the ledger names and for the target; read no whole list.

    ``receiver_about`` answers the receiver's datasets (it may have been asked for earlier in the run).
    """
    about = receiver_about()
    root = ends.destination.dataset
    wanted = {path: names_to_ask(ledger, path, target) for path in facts.paths}
    there = {path for path in wanted if about is not None and join(root, path) in about}
    mine, theirs = both(
        lambda: ends.source.named_snapshots(_full(facts.root, wanted)),
        lambda: ends.receiver.named_snapshots(
            _full(root, {path: wanted[path] for path in wanted if path in there})
        ),
    )
    return Answers(
        source=parse.tree(facts.root, facts.about, mine, complete=False).without(facts.excluded),
        receiver=None if about is None else parse.tree(root, about, theirs, complete=False),
        tokens={},
        grants=grants(about, root),
    )


def ask_whole(ends: Ends, facts: PushFacts) -> Answers:
    """Ask both sides for every snapshot of their trees, and the source for the receiver's tokens."""
    root = ends.destination.dataset

    def theirs() -> tuple[Tree | None, Grants]:
        about = ask_receiver(ends)
        if about is None:
            return None, Grants()
        listed = ends.receiver.all_snapshots(root)
        return parse.tree(root, about, listed, complete=True), grants(about, root)

    mine, (receiver, granted) = both(lambda: ends.source.snapshots_and_bookmarks(facts.root), theirs)
    source = parse.tree(
        facts.root, facts.about, mine.snapshots, complete=True, bookmarks=mine.bookmarks
    ).without(facts.excluded)
    return Answers(source, receiver, tokens_of(ends.source, source, receiver), granted)


def names_to_ask(ledger: Ledger, path: str, target: str) -> tuple[str, ...]:
    """The snapshot names that matter for a dataset, each once."""
    return tuple(dict.fromkeys((*ledger.names_for(path), target)))


def _full(root: str, wanted: Mapping[str, Iterable[str]]) -> list[str]:
    return [f"{join(root, path)}@{name}" for path, names in wanted.items() for name in names]


def tokens_of(zfs: Zfs, source: Tree, receiver: Tree | None) -> dict[str, Token]:
    """What the source (its ``zfs``, and its tree) says of each resume token, by the receiver's path."""
    datasets = receiver.datasets if receiver else {}
    texts = {path: dataset.resume_token for path, dataset in datasets.items() if dataset.resume_token}
    return {path: _token(zfs, source, text) for path, text in texts.items()}


def _token(zfs: Zfs, source: Tree, text: str) -> Token:
    """What a token asks for. It comes from the far side and is untrusted: the name in it says nothing. zfs
    looks for the snapshot by its GUID (libzfs, guid_to_name; measured after renames and exchanged names), and
    so it must be one of this tree."""
    contents = zfs.token_contents(text)
    if contents is None:
        return Token(text, why_not="a partial receive that this source can no longer continue")
    dataset, _, name = contents.to_name.partition("@")
    holders = (each for each in source.datasets.values() if contents.to_guid in each.by_guid())
    holder = next(holders, None)
    if holder is None:
        return Token(
            text, name, why_not=f"a partial receive of {dataset}@{name}, which is gone from the source"
        )
    found = holder.by_guid()[contents.to_guid]
    return Token(text, found.name, found.guid, usable=True)
