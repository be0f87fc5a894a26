# SPDX-License-Identifier: GPL-3.0-or-later
"""Several destinations of one tree, a receiver on this machine, and a source on another."""

from __future__ import annotations

from typing import Any

import pytest

from cyber_zfs_backup.actions import run as runs
from cyber_zfs_backup.actions.run import real_home, real_ways
from cyber_zfs_backup.config.job import Action, Destination, Job, SourceHost, UsageError
from cyber_zfs_backup.hosts.local import LocalHost
from cyber_zfs_backup.hosts.ssh import SshHost
from cyber_zfs_backup.hosts.stream import ProcessLink
from cyber_zfs_backup.model.names import own_name
from cyber_zfs_backup.plan.ledger import destination_tag
from tests.fake.host import FakeHost, FakeLink
from tests.fake.model import World
from tests.unit.actions.rig import ALL, FORCED, HARSH, ONLY_PUSH, ROOT, THERE, Rig, Said, kinds, problems

OFFSITE, NAS = Destination("offsite", THERE), Destination("nas", "shelf/copy")


def two(*children: str) -> Rig:
    """A rig with a second receiver, the host ``nas`` with the pool ``shelf``."""
    rig = Rig(*children)
    world = World()
    world.add_pool("shelf")
    rig.elsewhere["nas"] = FakeHost(world, "nas")
    rig.links["nas"] = FakeLink(rig.source, rig.elsewhere["nas"])
    rig.always = {"destinations": (OFFSITE, NAS)}
    return rig


def on_nas(rig: Rig) -> dict[str, dict[int, str]]:
    return rig.own(rig.elsewhere["nas"], NAS.dataset)


def by_destination(result: Any, name: str = "push") -> dict[str, str]:
    return {each.destination: each.outcome.value for each in result.actions if each.action == name}


def test_each_destination_has_its_own_push_and_mirror_and_the_source_one_snapshot_and_expire() -> None:
    rig = two("a", "b")
    rig.first()
    for _ in range(3):
        result = rig.night(retention=HARSH)
        assert result.exit_code == 0, problems(result)
    names = [(each.action, each.destination) for each in result.actions]
    assert names == [
        ("snapshot", ""),
        ("push", OFFSITE.label),
        ("push", NAS.label),
        ("expire", ""),
        ("mirror", OFFSITE.label),
        ("mirror", NAS.label),
    ]
    assert rig.here == rig.there == on_nas(rig)
    assert rig.held() == rig.named()


def test_one_that_is_down_for_months_stops_nobody_and_loses_nothing() -> None:
    rig = two("a")
    rig.first()
    base = rig.names()[-1]
    rig.elsewhere["nas"].faults.unreachable = True
    for _ in range(90):
        result = rig.night(retention=HARSH)
        assert result.exit_code == 75
        assert by_destination(result) == {OFFSITE.label: "done", NAS.label: "passing"}
        assert (result.exit_code_of(OFFSITE.label), result.exit_code_of(NAS.label)) == (0, 75)
    assert rig.here == rig.there
    assert rig.names() == rig.names("a") == [base, own_name(rig.now)]
    # Each time the source says since when, and what that keeps.
    told = [warning for warning in rig.said.warnings if "is behind since" in warning]
    assert len(told) == 90
    assert f"nas:shelf/copy is behind since {base}: what is kept for it takes" in told[-1]
    assert "forget 'nas:shelf/copy'" in told[-1]
    figures = next(each.figures for each in result.actions if each.destination == NAS.label)
    assert figures["behind_since"] == base
    assert isinstance(figures["kept_bytes"], int)
    assert figures["kept_bytes"] > 0
    rig.elsewhere["nas"].faults.unreachable = False
    result = rig.night(retention=HARSH)
    assert result.exit_code == 0, problems(result)
    assert rig.here == rig.there
    assert {path: names.keys() & rig.here[path].keys() for path, names in on_nas(rig).items()} == {
        path: names.keys() for path, names in rig.here.items()
    }


def test_one_that_is_down_and_has_all_there_is_is_not_behind() -> None:
    rig = two("a")
    rig.first()
    rig.elsewhere["nas"].faults.unreachable = True
    result = rig.run(actions=ONLY_PUSH)
    assert by_destination(result)[NAS.label] == "passing"
    assert not any("is behind since" in warning for warning in rig.said.warnings)


def test_a_conflict_of_one_is_no_matter_of_the_other() -> None:
    rig = two("a")
    rig.first()
    rig.elsewhere["nas"].write(f"{NAS.dataset}/a", {"foreign": b"data"})
    result = rig.night()
    assert (result.exit_code, kinds(result)) == (3, ["diverged"])
    assert by_destination(result) == {OFFSITE.label: "done", NAS.label: "partial"}
    assert rig.here == rig.there


def test_a_second_destination_may_come_later() -> None:
    rig = two("a")
    rig.always = {}
    rig.first()
    rig.night()
    result = rig.night(destinations=(OFFSITE, NAS))
    assert by_destination(result) == {OFFSITE.label: "done", NAS.label: "conflict"}
    result = rig.night(destinations=(OFFSITE, NAS), force=FORCED)
    assert result.exit_code == 0, problems(result)
    assert rig.here == rig.there == on_nas(rig)


def test_the_same_one_twice_is_a_mistake() -> None:
    with pytest.raises(UsageError, match="offsite:vault/copy is given twice"):
        Job(ROOT, ALL, (OFFSITE, OFFSITE))


def test_labels_and_tags_tell_apart_who_pulls() -> None:
    here = Destination("", THERE)
    pulled = Destination("", THERE, known_as="zippy")
    assert (here.label, pulled.label) == ("this machine:vault/copy", "zippy:vault/copy")
    tags = {destination_tag(7, each.host, each.dataset) for each in (here, pulled, OFFSITE, NAS)}
    assert len(tags) == 4


@pytest.mark.parametrize(
    ("dataset", "there"), [("tank/a", "tank/a/copy"), ("tank/a/b", "tank/a"), ("tank/a", "tank/a")]
)
def test_a_copy_within_its_own_tree_is_refused(dataset: str, there: str) -> None:
    if "/" in there:
        with pytest.raises(UsageError, match="lie in each other"):
            Job(dataset, ALL, (Destination("", there),))
    Job(dataset, ALL, (Destination("offsite", there),))
    Job(dataset, ALL, (Destination("", there),), SourceHost("nas"))


@pytest.mark.parametrize(
    ("source", "destination", "kinds_of"),
    [
        ("", "", (LocalHost, LocalHost)),
        ("", "nas", (LocalHost, SshHost)),
        ("nas", "", (SshHost, LocalHost)),
        ("nas", "offsite", (SshHost, SshHost)),
    ],
)
def test_where_no_ssh_was_asked_for_none_is_used(
    source: str, destination: str, kinds_of: tuple[type, type], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[type, type]] = []

    class Link(ProcessLink):
        def __init__(self, one: Any, other: Any, **more: Any) -> None:
            seen.append((type(one), type(other)))
            super().__init__(one, other, **more)

    monkeypatch.setattr(runs, "ProcessLink", Link)
    job = Job(ROOT, ALL, (Destination(destination, "vault/copy"),), SourceHost(source))
    with real_home(job, Said()) as home, real_ways(home) as (ends,):
        assert (type(ends.source.host), type(ends.receiver.host)) == kinds_of
    assert seen == [kinds_of]


def test_the_lock_of_a_pull_is_not_that_of_a_push() -> None:
    assert SourceHost("nas").named("tank/a") != SourceHost("").named("tank/a")


@pytest.mark.parametrize("there", [f"{ROOT}/copy", ROOT, f"{ROOT}/a"])
def test_a_way_that_leads_back_into_the_tree_is_found_out(there: str) -> None:
    """By ssh to this very machine, say, under another name."""
    rig = Rig("a")
    rig.elsewhere["me"] = FakeHost(rig.source.world, "me")
    rig.links["me"] = FakeLink(rig.source, rig.elsewhere["me"])
    rig.snap()
    before = rig.state(rig.source)
    result = rig.run(destination=Destination("me", there), force=FORCED, actions=frozenset({Action.PUSH}))
    assert (result.exit_code, kinds(result)) == (1, ["in-itself"])
    assert rig.state(rig.source) == before
