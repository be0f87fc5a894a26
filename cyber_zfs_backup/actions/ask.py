# SPDX-License-Identifier: GPL-3.0-or-later
"""The questions of a push: the cheap one by name, and the whole one; both sides at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..model.names import join
from ..model.trees import Snapshot, Tree
from ..plan.compare import Token
from ..plan.ledger import Ledger
from ..zfs import parse
from .ends import Ends, SourceFacts

First = TypeVar("First")
Second = TypeVar("Second")


@dataclass(frozen=True, slots=True)
class Answers:
    """What both sides said. ``receiver`` is ``None`` where its root does not exist."""

    source: Tree
    receiver: Tree | None
    tokens: Mapping[str, Token]

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
    return ends.receiver.partial_properties(ends.job.destination.dataset)


def ask_cheap(
    ends: Ends,
    facts: SourceFacts,
    ledger: Ledger,
    target: str,
    receiver_about: Callable[[], parse.Properties | None],
) -> Answers:
    """Ask both sides, by name, for what the ledger names and for the target; read no whole list.

    ``receiver_about`` answers the receiver's datasets (it may have been asked for earlier in the run).
    """
    about = receiver_about()
    root = ends.job.destination.dataset
    wanted = {path: names_to_ask(ledger, path, target) for path in facts.paths}
    there = {path for path in wanted if about is not None and join(root, path) in about}
    mine, theirs = both(
        lambda: ends.source.named_snapshots(_full(facts.root, wanted)),
        lambda: ends.receiver.named_snapshots(
            _full(root, {path: wanted[path] for path in wanted if path in there})
        ),
    )
    return Answers(
        source=_source_tree(facts, mine, complete=False),
        receiver=None if about is None else parse.tree(root, about, theirs, complete=False),
        tokens={},
    )


def ask_whole(ends: Ends, facts: SourceFacts) -> Answers:
    """Ask both sides for every snapshot of their trees, and the source for the receiver's tokens."""
    root = ends.job.destination.dataset

    def theirs() -> Tree | None:
        about = ask_receiver(ends)
        if about is None:
            return None
        return parse.tree(root, about, ends.receiver.all_snapshots(root), complete=True)

    mine, receiver = both(lambda: ends.source.all_snapshots(facts.root), theirs)
    source = _source_tree(facts, mine, complete=True)
    return Answers(source, receiver, _tokens(ends, source, receiver))


def names_to_ask(ledger: Ledger, path: str, target: str) -> tuple[str, ...]:
    """The snapshot names that matter for a dataset, each once."""
    return tuple(dict.fromkeys((*ledger.names_for(path), target)))


def _full(root: str, wanted: Mapping[str, Iterable[str]]) -> list[str]:
    return [f"{join(root, path)}@{name}" for path, names in wanted.items() for name in names]


def _source_tree(facts: SourceFacts, listed: Mapping[str, list[Snapshot]], *, complete: bool) -> Tree:
    tree = parse.tree(facts.root, facts.about, listed, complete=complete)
    return tree.without(facts.excluded)


def _tokens(ends: Ends, source: Tree, receiver: Tree | None) -> dict[str, Token]:
    """What the source says of each resume token. A token is untrusted: it must fit its own dataset."""
    if receiver is None:
        return {}
    with_tokens = {
        path: dataset.resume_token
        for path, dataset in receiver.datasets.items()
        if dataset.resume_token is not None and path in source.datasets
    }
    return {path: _token(ends, source, path, text) for path, text in with_tokens.items()}


def _token(ends: Ends, source: Tree, path: str, text: str) -> Token:
    contents = ends.source.token_contents(text)
    if contents is None:
        return Token(text, why_not="a partial receive that this source can no longer continue")
    dataset, _, name = contents.to_name.partition("@")
    if dataset != source.full(path):
        return Token(text, name, why_not=f"a partial receive of {dataset}, which is another dataset")
    found = source.datasets[path].by_guid().get(contents.to_guid)
    if found is None:
        return Token(text, name, why_not=f"a partial receive of @{name}, which is gone from the source")
    return Token(text, found.name, found.guid, usable=True)
