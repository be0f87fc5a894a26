# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor where something is not answered or cannot be read: that is told, and all else is looked at."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from cyber_zfs_backup.actions.result import ActionResult, Outcome
from cyber_zfs_backup.config.job import Destination, SourceHost
from cyber_zfs_backup.hosts.protocol import Finished
from cyber_zfs_backup.plan.findings import Finding, Severity
from cyber_zfs_backup.zfs.properties import BASE_PREFIX, HOLD_PREFIX
from tests.fake.host import FakeHost
from tests.unit.actions.rig import DAY, FORCED, ROOT, THERE, Rig

from .test_doctor import QUIET, answering, bad, healthy, look

COPY = f"offsite:{THERE}"
SOURCE = "this machine"
GARBAGE = "what somebody has typed"


def worse(result: ActionResult) -> list[Finding]:
    return [each for each in result.findings if each.severity is not Severity.GOOD]


def good(result: ActionResult, where: str) -> set[str]:
    return {each.kind for each in result.findings if each.severity is Severity.GOOD and each.where == where}


def change(host: FakeHost, words: Sequence[str], how: Callable[[Finished], Finished]) -> None:
    """Change the answer to the commands that begin so (the program without its folder)."""
    before = host.faults.garble

    def garble(finished: Finished) -> Finished:
        argv = (finished.argv[0].rpartition("/")[2], *finished.argv[1:])
        answer = before(finished)
        return how(answer) if all(word in argv for word in words) and argv[0] == words[0] else answer

    host.faults.garble = garble


def failing(finished: Finished) -> Finished:
    return replace(finished, status=1, stdout="", stderr="cannot do that: permission denied\n")


def spoilt(finished: Finished) -> Finished:
    return replace(finished, stdout="Welcome!\n" + finished.stdout)


WELL_SOURCE = {"leaked", "future", "zfs-version", "pool-health", "pool-capacity", "pool-growth", "timer"}
WELL_COPY = {
    *("future", "token", "encryption", "mount", "zfs-version", "pool-health", "pool-capacity", "pool-growth"),
    *("clock", "pool-features"),
}


def test_all_that_is_well_of_a_healthy_pair(tmp_path: Path) -> None:
    result = look(healthy("a"), tmp_path)
    assert (good(result, SOURCE), good(result, COPY)) == (WELL_SOURCE, WELL_COPY)


@pytest.mark.parametrize("path", ["", "/a"])
def test_a_damaged_record_hides_nothing_else(tmp_path: Path, path: str) -> None:
    rig = healthy("a", "b")
    rig.source.zfs("set", f"{BASE_PREFIX}{rig.tag}={GARBAGE}", f"{ROOT}{path}")
    rig.source.zfs("hold", f"{HOLD_PREFIX}{'c' * 16}", f"{ROOT}/b@{rig.names()[-1]}")
    rig.source.zfs("snapshot", f"{ROOT}/b@2037-01-01T00:00:00Z")
    rig.receiver.zfs("set", "mountpoint=/home", f"{THERE}/a")
    result = look(rig, tmp_path)
    assert sorted(bad(result)) == [
        ("future", SOURCE), ("leaked", SOURCE), ("mount", COPY), ("record", SOURCE)
    ]  # fmt: skip
    (damaged,) = (each for each in worse(result) if each.kind == "record")
    assert damaged.severity is Severity.FAILS
    assert f"{ROOT}{path}: property {BASE_PREFIX}{rig.tag}: {GARBAGE!r} is no record" in damaged.what
    assert damaged.remedy.endswith(f"cyber-zfs-backup forget {rig.tag} --dataset {ROOT}")
    assert good(result, COPY) == WELL_COPY - {"mount"}


def test_a_damaged_record_above_the_tree_is_named_where_it_stands(tmp_path: Path) -> None:
    rig = healthy()
    rig.source.zfs("set", f"{BASE_PREFIX}{'f' * 16}={GARBAGE}", "tank")
    (found,) = worse(look(rig, tmp_path))
    assert found.what.startswith(f"tank: property {BASE_PREFIX}")
    assert found.remedy.endswith(f"forget {'f' * 16} --dataset tank")
    assert good(look(rig, tmp_path), SOURCE) == WELL_SOURCE


def test_a_source_elsewhere_is_named_in_the_command_that_mends_its_record(tmp_path: Path) -> None:
    rig = healthy()
    rig.source.zfs("set", f"{BASE_PREFIX}{rig.tag}={GARBAGE}", ROOT)
    (found,) = worse(look(rig, tmp_path, source=SourceHost("zippy")))
    assert found.remedy.endswith(f"--dataset {ROOT} --source-ssh-destination zippy")


def damage_token(host: FakeHost, dataset: str) -> None:
    def how(finished: Finished) -> Finished:
        # Among all properties it stands only where it is set.
        others = finished.stdout.replace(f"{dataset}\treceive_resume_token\t-\t-\n", "")
        return replace(finished, stdout=f"{others}{dataset}\treceive_resume_token\tno token\t-\n")

    change(host, ("zfs", "get"), how)


def test_a_damaged_token_hides_nothing_else(tmp_path: Path) -> None:
    rig = healthy("a", "b")
    damage_token(rig.receiver, f"{THERE}/a")
    rig.receiver.zfs("set", "mountpoint=/home", f"{THERE}/a")
    result = look(rig, tmp_path)
    assert bad(result) == [("record", COPY), ("mount", COPY)]
    assert f"{THERE}/a: a resume token that is none: 'no token'" in worse(result)[0].what
    # Nobody knows whether that is a partial receive.
    assert good(result, COPY) == WELL_COPY - {"mount", "token"}
    assert good(result, SOURCE) == WELL_SOURCE


def test_a_damaged_token_of_the_source_hides_nothing_else(tmp_path: Path) -> None:
    rig = healthy("a")
    damage_token(rig.source, f"{ROOT}/a")
    result = look(rig, tmp_path)
    assert bad(result) == [("record", SOURCE)]
    assert worse(result)[0].remedy == f"look at it with: zfs get receive_resume_token {ROOT}/a"
    assert (good(result, SOURCE), good(result, COPY)) == (WELL_SOURCE, WELL_COPY)


FAIL, WARN = Severity.FAILS, Severity.WARNING
Badly = tuple[Callable[[Finished], Finished], str]
BADLY: list[Badly] = [(failing, "zfs"), (spoilt, "record")]

Question = tuple[str, tuple[str, ...], Severity, set[str], set[str]]
QUESTIONS: list[Question] = [
    # What a run asks, too; then of the source nothing is known but its pool.
    (SOURCE, ("zfs", "get"), FAIL, {"leaked", "future"}, {"encryption"}),
    (SOURCE, ("zfs", "list", "snapshot,bookmark"), FAIL, {"leaked", "future"}, set()),
    (SOURCE, ("zfs", "list", "name,userrefs"), WARN, {"leaked"}, set()),
    (SOURCE, ("zfs", "holds"), WARN, {"leaked"}, set()),
    (SOURCE, ("zfs", "version"), WARN, {"zfs-version"}, set()),
    (SOURCE, ("zpool", "list"), WARN, {"pool-health", "pool-capacity", "pool-growth"}, set()),
    (SOURCE, ("zpool", "status"), WARN, {"pool-health"}, set()),
    (SOURCE, ("zpool", "get"), WARN, set(), {"pool-features"}),
    (SOURCE, ("date",), WARN, set(), {"clock"}),
    (COPY, ("zfs", "get", "guid,type,encryption,receive_resume_token"), FAIL, set(),
        {"future", "token", "encryption", "mount"}),
    (COPY, ("zfs", "get", "all"), WARN, set(), {"encryption", "mount"}),
    (COPY, ("zfs", "list"), FAIL, set(), {"future", "encryption"}),
    (COPY, ("zfs", "version"), WARN, set(), {"zfs-version"}),
    (COPY, ("zpool", "list"), WARN, set(), {"pool-health", "pool-capacity", "pool-growth", "pool-features"}),
    (COPY, ("zpool", "status"), WARN, set(), {"pool-health"}),
    (COPY, ("zpool", "get"), WARN, set(), {"pool-features"}),
    (COPY, ("date",), WARN, set(), {"clock"}),
]  # fmt: skip
"""Where what is asked; how bad it is without an answer; of what is then nothing said, here and there."""


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("badly", BADLY)
def test_a_question_without_an_answer(tmp_path: Path, question: Question, badly: Badly) -> None:
    where, words, severity, here, there = question
    # The others' answers are searched for what they say.
    how, kind = BADLY[0] if words[-1] in ("status", "version") or words == ("zpool", "get") else badly
    rig = healthy("a")
    change(rig.source if where == SOURCE else rig.receiver, words, how)
    result = look(rig, tmp_path)
    assert [(each.kind, each.where, each.severity) for each in worse(result)] == [(kind, where, severity)]
    assert " cannot be read: " in worse(result)[0].what
    assert (good(result, SOURCE), good(result, COPY)) == (WELL_SOURCE - here, WELL_COPY - there)
    assert result.outcome is (Outcome.CRITICAL if severity is FAIL else Outcome.WARNINGS)


def test_what_a_user_may_do_is_a_question_of_its_own(tmp_path: Path) -> None:
    rig = healthy()
    change(rig.receiver, ("zfs", "allow"), failing)
    result = look(rig, tmp_path, replace(QUIET, users={"offsite": "bob"}))
    assert [(each.severity, each.what.partition(" cannot")[0]) for each in worse(result)] == [
        (WARN, "what bob may do")
    ]
    assert "permissions" not in good(result, COPY)


def test_a_gatekeeper_that_does_not_answer_what_a_push_asks_is_told(tmp_path: Path) -> None:
    def refusing(finished: Finished) -> Finished:
        return replace(finished, status=77, stdout="", stderr="cyber-zfs-receive: refused: no such root\n")

    rig = healthy()
    change(rig.receiver, ("zfs", "get"), refusing)
    result = look(rig, tmp_path)
    assert [(each.kind, each.severity) for each in worse(result)] == [("zfs", FAIL)]
    rig = healthy()
    change(rig.receiver, ("zpool", "status"), refusing)
    result = look(rig, tmp_path)
    assert worse(result) == []
    assert "pool-health" not in good(result, COPY)


def cut(rig: Rig) -> None:
    """Leave a partial receive there."""
    rig.size = 60_000
    rig.link.break_next(None, 30_000)
    rig.night()
    assert rig.tokens()


def test_a_token_that_the_source_cannot_be_asked_about_is_told(tmp_path: Path) -> None:
    rig = healthy("a")
    cut(rig)
    rig.wait(DAY + 1)
    change(rig.source, ("zfs", "send", "-nvt"), lambda done: replace(done, status=0, stdout="?", stderr=""))
    result = look(rig, tmp_path)
    assert [(each.kind, each.where, each.severity) for each in worse(result)] == [("record", SOURCE, FAIL)]
    assert worse(result)[0].what.startswith(f"the partial receive of {THERE}")
    assert good(result, COPY) == WELL_COPY - {"token"}
    # A source that is gone by then is nothing else.
    rig.source.faults.garble = lambda finished: finished
    answering(rig.source)

    def gone(_moment: str, argv: tuple[str, ...]) -> None:
        rig.source.faults.unreachable = rig.source.faults.unreachable or argv[:2] == ("zpool", "get")

    rig.source.faults.hook = gone
    result = look(rig, tmp_path)
    assert [(each.kind, each.where) for each in worse(result)] == [("unreachable", SOURCE)]


def test_a_copy_is_looked_at_although_its_source_is_out_of_reach(tmp_path: Path) -> None:
    rig = healthy("a")
    rig.receiver.zfs("set", "mountpoint=/home", f"{THERE}/a")
    rig.source.faults.unreachable = True
    assert bad(look(rig, tmp_path)) == [("unreachable", SOURCE), ("mount", COPY)]


# Holds


def test_a_hold_of_a_destination_on_record_where_its_record_does_not_name_it(tmp_path: Path) -> None:
    rig = healthy("a", "b")
    rig.source.zfs("snapshot", f"{ROOT}/a@by hand")
    for name in (f"{ROOT}/a@by hand", f"{ROOT}/b@{rig.names()[0]}"):
        rig.source.zfs("hold", f"{HOLD_PREFIX}{rig.tag}", name)
    result = look(rig, tmp_path)
    (found,) = worse(result)
    assert (found.kind, found.severity) == ("leaked", WARN)
    assert found.what.startswith(f"{ROOT}/a@by hand, {ROOT}/b@{rig.names()[0]}: held for {COPY}, ")
    rig.source.zfs(*shlex.split(found.remedy[found.remedy.index("zfs release") :])[1:])
    assert worse(look(rig, tmp_path)) == []


def test_a_hold_on_a_foreign_snapshot_that_is_the_base_is_as_it_should_be(tmp_path: Path) -> None:
    rig = Rig("a")
    rig.first()
    rig.wait()
    rig.write("a")
    rig.source.zfs("snapshot", "-r", f"{ROOT}@by-hand")
    rig.night()
    record = rig.ledger()
    assert record is not None
    rig.source.zfs("hold", f"{HOLD_PREFIX}{rig.tag}", f"{ROOT}@by-hand")
    value = rig.source.zfs("get", "-Hp", "-o", "value", f"{BASE_PREFIX}{rig.tag}", ROOT).strip()
    named = value.replace('"to"', '"pending":["by-hand"],"to"')
    rig.source.zfs("set", f"{BASE_PREFIX}{rig.tag}={named}", ROOT)
    answering(rig.source)
    answering(rig.receiver)
    assert worse(look(rig, tmp_path)) == []


def test_the_holds_of_nested_jobs_are_no_strays(tmp_path: Path) -> None:
    """One job's tree lies in another's: what each of them holds is named by a record of its own."""
    rig = healthy("a", "a/b")
    inner = Destination("offsite", "vault/inner")
    rig.run(dataset=f"{ROOT}/a", destination=inner, force=FORCED)
    rig.night()
    assert worse(look(rig, tmp_path)) == []
    assert worse(look(rig, tmp_path, dataset=f"{ROOT}/a", destination=inner)) == []
    # What no record of the inner one names is seen from both.
    first, last = (f"{ROOT}/a/b@{name}" for name in (rig.names("a/b")[0], rig.names("a/b")[-2]))
    (tag,) = {line.split("\t")[1] for line in rig.source.zfs("holds", "-H", last).splitlines()} - {
        f"{HOLD_PREFIX}{rig.tag}"
    }
    rig.source.zfs("hold", tag, first)
    for result in (look(rig, tmp_path), look(rig, tmp_path, dataset=f"{ROOT}/a", destination=inner)):
        (found,) = worse(result)
        assert found.what.startswith(f"{first}: held for {inner.label}, ")


@pytest.mark.parametrize("again", [True, False])
def test_a_push_that_begins_while_the_doctor_looks_leaves_no_stray(tmp_path: Path, *, again: bool) -> None:
    rig = healthy("a")
    begun: list[str] = []

    def push(moment: str, argv: tuple[str, ...]) -> None:
        if moment == "before" and "name,userrefs" in argv and not begun:
            begun.append("now")
            rig.night()

    rig.source.faults.hook = push
    if not again:
        rig.source.zfs("hold", f"{HOLD_PREFIX}{rig.tag}", f"{ROOT}@{rig.names()[0]}")
    assert [each.kind for each in worse(look(rig, tmp_path))] == ([] if again else ["leaked"])
