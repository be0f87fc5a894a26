# SPDX-License-Identifier: GPL-3.0-or-later
"""The grammar of the command line: what each option means, and what each mistake is told."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cyber_zfs_backup.cli.parser import parse
from cyber_zfs_backup.cli.request import Lines, Request, Show
from cyber_zfs_backup.config.declared import CONFIG
from cyber_zfs_backup.config.declared_requests import Look, LookDeclared
from cyber_zfs_backup.config.job import (
    Action,
    Delivery,
    Destination,
    Exclude,
    Force,
    Job,
    RetentionPolicy,
    SourceHost,
    UsageError,
)
from cyber_zfs_backup.config.requests import (
    Check,
    Doctor,
    ExpireReceived,
    Forget,
    Quarantine,
    Report,
    Status,
    Verify,
    destination_named,
)
from cyber_zfs_backup.plan.cost import SendMode

COPY = Destination(ssh="offsite", dataset="offsite/zippy")
DEFAULT = Job(dataset="zippy/zippy", actions=frozenset(Action), destinations=(COPY,))


def parsed(*words: str) -> Request:
    return parse(words, hostname="zippy.example.com")


def test_no_arguments_mean_the_defaults_of_the_reference() -> None:
    assert parsed() == Request(
        Job(
            dataset="zippy/zippy",
            actions=frozenset({Action.SNAPSHOT, Action.PUSH, Action.EXPIRE}),
            destinations=(
                Destination(ssh="offsite", dataset="offsite/zippy", ssh_config=None, use_sudo=False),
            ),
            source=SourceHost(ssh="", ssh_config=None, use_sudo=False),
            retention=RetentionPolicy(days=31, weeks=12, months=36),
            force=Force(destroy_lots=False, non_incremental=False),
            exclude=Exclude(),
            delivery=Delivery(
                send_mode=SendMode.AUTO,
                lanes=2,
                stall_timeout=900,
                retries=2,
                bwlimit=None,
                bookmark_base=False,
            ),
            dry_run=False,
        ),
        Show(verbosity=0, quiet=False, json=False, progress=None, debug=False),
    )


@pytest.mark.parametrize(
    ("line", "job"),
    [
        ("--action snapshot", replace(DEFAULT, actions=frozenset({Action.SNAPSHOT}))),
        ("--action snapshot expire", replace(DEFAULT, actions=frozenset({Action.SNAPSHOT, Action.EXPIRE}))),
        ("--action expire snapshot", replace(DEFAULT, actions=frozenset({Action.SNAPSHOT, Action.EXPIRE}))),
        ("--action push --action expire", replace(DEFAULT, actions=frozenset({Action.PUSH, Action.EXPIRE}))),
        ("--action push push", replace(DEFAULT, actions=frozenset({Action.PUSH}))),
        ("--dataset morpheus/my-dataset", replace(DEFAULT, dataset="morpheus/my-dataset")),
        ("--dataset=tank", replace(DEFAULT, dataset="tank")),
        ("--pool tank/a_b.c:d", replace(DEFAULT, dataset="tank/a_b.c:d")),
        ("--retention-policy 7 4 12", replace(DEFAULT, retention=RetentionPolicy(7, 4, 12))),
        ("--retention-policy 0 0 0", replace(DEFAULT, retention=RetentionPolicy(0, 0, 0))),
        ("--force-destroy-lots", replace(DEFAULT, force=Force(destroy_lots=True))),
        ("--force-non-incremental", replace(DEFAULT, force=Force(non_incremental=True))),
        ("--ssh-destination backup@nas", replace(DEFAULT, destinations=(replace(COPY, ssh="backup@nas"),))),
        (
            "--zfs-receive-dataset pool/a/b",
            replace(DEFAULT, destinations=(replace(COPY, dataset="pool/a/b"),)),
        ),
        ("--use-sudo", replace(DEFAULT, destinations=(replace(COPY, use_sudo=True),))),
        ("--dry-run", replace(DEFAULT, dry_run=True)),
        ("--no-act", replace(DEFAULT, dry_run=True)),
        ("-n", replace(DEFAULT, dry_run=True)),
        ("--exclude var/tmp --exclude scratch*", replace(DEFAULT, exclude=Exclude(("var/tmp", "scratch*")))),
        ("--send-mode replicate", replace(DEFAULT, delivery=Delivery(send_mode=SendMode.REPLICATE))),
        ("--send-mode level", replace(DEFAULT, delivery=Delivery(send_mode=SendMode.LEVEL))),
        ("--stall-timeout 0", replace(DEFAULT, delivery=Delivery(stall_timeout=0))),
        ("--retries 5", replace(DEFAULT, delivery=Delivery(retries=5))),
        ("--bwlimit 20M", replace(DEFAULT, delivery=Delivery(bwlimit=20 << 20))),
        ("--bookmark-base", replace(DEFAULT, delivery=Delivery(bookmark_base=True))),
        ("--source-ssh-destination nas", replace(DEFAULT, source=SourceHost("nas"))),
        (
            "--source-ssh-destination root@nas --source-use-sudo",
            replace(DEFAULT, source=SourceHost("root@nas", use_sudo=True)),
        ),
        ("--ssh-destination=", replace(DEFAULT, destinations=(Destination("", "offsite/zippy"),))),
        (
            "--ssh-destination= --source-ssh-destination nas",
            replace(
                DEFAULT,
                source=SourceHost("nas"),
                destinations=(Destination("", "offsite/zippy", known_as="zippy"),),
            ),
        ),
        (
            "--ssh-destination a --zfs-receive-dataset x/1 --ssh-destination b --zfs-receive-dataset x/2",
            replace(DEFAULT, destinations=(Destination("a", "x/1"), Destination("b", "x/2"))),
        ),
        (
            "--ssh-destination a --ssh-destination b",
            replace(
                DEFAULT, destinations=(Destination("a", "offsite/zippy"), Destination("b", "offsite/zippy"))
            ),
        ),
        (
            "--zfs-receive-dataset x/1 --zfs-receive-dataset x/2",
            replace(DEFAULT, destinations=(Destination("offsite", "x/1"), Destination("offsite", "x/2"))),
        ),
        ("--lanes 16", replace(DEFAULT, delivery=Delivery(lanes=16))),
    ],
)
def test_an_option_changes_its_part_of_the_job_and_nothing_else(line: str, job: Job) -> None:
    assert parsed(*line.split()) == Request(job)


@pytest.mark.parametrize(
    ("line", "how"),
    [
        ("-v", Show(verbosity=1)),
        ("--verbose", Show(verbosity=1)),
        ("-vv", Show(verbosity=2)),
        ("-v --verbose -v", Show(verbosity=3)),
        ("--debug", Show(verbosity=2, debug=True)),
        ("-vvv --debug", Show(verbosity=3, debug=True)),
        ("-q", Show(quiet=True)),
        ("--quiet", Show(quiet=True)),
        ("--json", Show(json=True)),
        ("--progress", Show(progress=True)),
        ("--no-progress", Show(progress=False)),
    ],
)
def test_an_option_of_showing(line: str, how: Show) -> None:
    assert parsed(*line.split()) == Request(DEFAULT, how)


def test_short_options_can_be_joined() -> None:
    assert parsed("-nvv") == Request(replace(DEFAULT, dry_run=True), Show(verbosity=2))


@pytest.mark.parametrize(
    "name", ["tank/with space", "tank/" + "x" * 250, "a/b/c/d/e/f/g", "Tank/A.b_c:d-e", "t/-"]
)
def test_a_name_that_zfs_allows_is_taken(name: str) -> None:
    assert parsed("--dataset", name).work == replace(DEFAULT, dataset=name)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--dataset", ""], "--dataset: an empty dataset name"),
        (["--dataset", "tank/"], "--dataset: name 'tank/' has an empty part"),
        (["--dataset", "/tank"], "--dataset: name '/tank' has an empty part"),
        (["--dataset", "tank//a"], "--dataset: name 'tank//a' has an empty part"),
        (["--dataset", "tank/../a"], "a part may not be '..'"),
        (["--dataset", "tank/a@b"], "does not allow the character '@'"),
        (["--dataset", "tank/a;b"], "does not allow the character ';'"),
        (["--dataset", "tank/\x1b[2J"], r"does not allow the character '\x1b'"),
        (["--dataset", "tank/é"], "does not allow the character 'é'"),
        (["--dataset", "tank/\udcff"], r"argument 'tank/\udcff' is not valid text (UTF-8)"),
        (["--dataset", "0tank/a"], "the pool's name '0tank' must begin with a letter"),
        (["--dataset", "mirror/a"], "'mirror' is reserved"),
        (["--dataset", "tank/" + "x" * 251], "is longer than 255 bytes"),
        (["--zfs-receive-dataset", "offsite"], "--zfs-receive-dataset 'offsite' is a whole pool"),
        (["--zfs-receive-dataset", "/zippy"], "--zfs-receive-dataset: name '/zippy' has an empty part"),
        (["--source-ssh-destination", "-o"], "--source-ssh-destination"),
        (
            ["--ssh-destination", "a", "--ssh-destination", "b", "--zfs-receive-dataset", "x/y"],
            "--ssh-destination is given 2 times and --zfs-receive-dataset once; write one of each",
        ),
        (
            ["--ssh-destination", "a", "--ssh-destination", "a"],
            "the destination a:offsite/zippy is given twice",
        ),
        (
            ["--ssh-destination", "", "--zfs-receive-dataset", "zippy/zippy/copy"],
            "'zippy/zippy/copy' and --dataset 'zippy/zippy' lie in each other",
        ),
        (["--stall-timeout", "-1"], "--stall-timeout -1: write seconds, or 0 for never"),
        (["--stall-timeout", "1m"], "'1m' is not a whole number"),
        (["--bwlimit", "0"], "'0' is less than 1 KiB per second; write bytes per second, for example 500k"),
        (["--bwlimit", "fast"], "'fast' is no rate"),
        (["--retries", "101"], "--retries 101: write a number from 0 to 100"),
        (["--ssh-destination=-oProxyCommand=id"], "--ssh-destination '-oProxyCommand=id' is no host"),
        (["--ssh-destination", "a b"], "--ssh-destination 'a b' is no host"),
        (["--retention-policy", "-1", "12", "36"], "--retention-policy: days is -1"),
        (["--retention-policy", "31", "-12", "36"], "--retention-policy: weeks is -12"),
        (["--retention-policy", "31", "12", "-36"], "--retention-policy: months is -36"),
        (["--retention-policy", "31", "12"], "--retention-policy: expected 3 arguments"),
        (["--retention-policy", "31", "12", "x"], "--retention-policy: 'x' is not a whole number"),
        (["--retention-policy", "31", "12", "1.5"], "--retention-policy: '1.5' is not a whole number"),
        (["--retention-policy", "1_0", "12", "36"], "--retention-policy: '1_0' is not a whole number"),
        (["--retention-policy", "٣", "12", "36"], "--retention-policy: '٣' is not a whole number"),
        (["--retention-policy", "9" * 5000, "12", "36"], "is not a whole number"),
        (["--action"], "--action: expected at least one argument"),
        (["--action", "mirror"], "--action: invalid choice: 'mirror'"),
        (["--send-mode", "fast"], "--send-mode: invalid choice: 'fast'"),
        (["--lanes", "0"], "--lanes 0: write a number from 1 to 16"),
        (["--lanes", "17"], "--lanes 17: write a number from 1 to 16"),
        (["--lanes", "two"], "--lanes: 'two' is not a whole number"),
        (["--exclude", ""], "--exclude: an empty pattern"),
        (["--quiet", "-v"], "--quiet and --verbose contradict"),
        (["--quiet", "--debug"], "--quiet and --debug contradict"),
        (["--progress", "--no-progress"], "not allowed with argument"),
        (["--dry"], "unrecognized arguments: --dry"),
        (["--force"], "unrecognized arguments: --force"),
        (["tank/data"], "unrecognized arguments: tank/data"),
        (["-n", "forget", "offsite"], "the command 'forget' must be the first word: cyber-zfs-backup forget"),
        (["forget"], "the following arguments are required: DESTINATION"),
        (["forget", "offsite:tank"], "destination 'offsite:tank': write HOST or HOST:POOL/DATASET"),
        (["forget", ""], "destination '': write HOST or HOST:POOL/DATASET"),
        (["forget", "nas:0/a"], "destination 'nas:0/a': --zfs-receive-dataset: dataset name '0/a'"),
        (["forget", "tank/a"], "destination 'tank/a': write HOST or HOST:POOL/DATASET"),
        (["forget", ":tank/a"], "destination ':tank/a': write HOST or HOST:POOL/DATASET"),
        (["forget", "offsite", "--dataset", "tank/"], "--dataset: name 'tank/' has an empty part"),
        (["forget", "offsite", "--lanes", "3"], "unrecognized arguments: --lanes 3"),
        (["quarantine"], "the following arguments are required: SNAPSHOT"),
        (["quarantine", "before-upgrade"], "'before-upgrade' is not a name that this tool gives"),
        (["quarantine", "2037-02-30T00:00:00Z"], "'2037-02-30T00:00:00Z' is not a name that this tool gives"),
        (["quarantine", "other/x@2037-01-01T00:00:00Z"], "is outside the tree 'zippy/zippy'"),
        (["quarantine", "zippy/zippy2@2037-01-01T00:00:00Z"], "is outside the tree 'zippy/zippy'"),
        (["quarantine", "zippy/zippy@a@b"], "does not allow the character '@'"),
    ],
)
def test_a_mistake_is_named(words: list[str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parsed(*words)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("hostname", ["9box", "mirror", "log", "my box!", "", "raidz1.example.com"])
def test_a_host_name_that_no_pool_can_have_matters_only_for_the_default(hostname: str) -> None:
    unqualified = hostname.partition(".")[0]
    with pytest.raises(UsageError) as caught:
        parse([], hostname=hostname)
    assert f"host name {unqualified!r} cannot be a pool's name" in str(caught.value)
    assert "--dataset POOL/DATASET" in str(caught.value)
    job = parse(["--dataset", "tank/a", "--zfs-receive-dataset", "b/c"], hostname=hostname).work
    assert job.dataset == "tank/a"


def test_a_host_name_that_no_dataset_can_have_names_the_receivers_option() -> None:
    with pytest.raises(UsageError, match="--zfs-receive-dataset POOL/DATASET"):
        parse(["--dataset", "tank/a"], hostname="my box!")


def test_a_host_name_that_only_a_pool_cannot_have_is_good_for_the_receiver() -> None:
    work = parse(["--dataset", "tank/a"], hostname="9box.example.com").work
    assert isinstance(work, Job)
    assert work.destinations == (Destination("offsite", "offsite/9box"),)


def test_an_ssh_config_is_taken_by_its_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # 'none' is a word of its own for ssh -F; the file of that name must be meant here.
    (tmp_path / "none").write_text("Host offsite\n")
    work = parsed("--ssh-config", "none").work
    assert isinstance(work, Job)
    assert work.destinations[0].ssh_config == tmp_path / "none"


def test_an_ssh_config_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--ssh-config '.*/gone': No such file or directory"):
        parsed("--ssh-config", str(tmp_path / "gone"))
    with pytest.raises(UsageError, match="is a directory; name a file"):
        parsed("--ssh-config", str(tmp_path))
    with pytest.raises(UsageError, match="null"):
        parsed("--ssh-config", "a\0b")


def test_an_ssh_config_that_cannot_be_read_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.touch()
    # Not by its mode: root may read everything.
    monkeypatch.setattr(os, "access", lambda path, mode: not (path == str(secret) and mode == os.R_OK))
    with pytest.raises(UsageError, match=r"--ssh-config '.*/secret' cannot be read by this user"):
        parsed("--ssh-config", str(secret))


def test_forget() -> None:
    assert parsed("forget", "nas") == Request(Forget("zippy/zippy", Destination("nas", "offsite/zippy")))
    assert parsed("forget", "root@nas:pool/z", "--dataset", "tank/a", "-n", "--json") == Request(
        Forget("tank/a", Destination("root@nas", "pool/z"), dry_run=True), Show(json=True)
    )
    assert parsed("forget", "--zfs-receive-dataset", "b/c", "nas") == Request(
        Forget("zippy/zippy", Destination("nas", "b/c"))
    )


@pytest.mark.parametrize(
    "destination",
    [
        Destination("offsite", "offsite/zippy"),
        Destination("backup@nas.example.com", "tank/a/b c"),
        Destination("fe80::1", "tank/a:b"),
        Destination("ssh-alias", "tank/a:b/c:d"),
        Destination("", "vault/a:b"),
    ],
)
def test_a_destination_is_found_by_the_label_that_messages_write(destination: Destination) -> None:
    assert destination_named(destination.label, "unused/unused") == destination


def test_verify() -> None:
    assert parsed("verify") == Request(Verify("zippy/zippy", (COPY,)))
    words = "--ssh-destination nas --zfs-receive-dataset a/b --ssh-destination= --zfs-receive-dataset c/d"
    assert parsed("verify", "--dataset", "tank/a", "--exclude", "tmp", *words.split(), "--json") == Request(
        Verify("tank/a", (Destination("nas", "a/b"), Destination("", "c/d")), exclude=Exclude(("tmp",))),
        Show(json=True),
    )


def test_doctor() -> None:
    every = LookDeclared(Look.DOCTOR, CONFIG, Doctor("zippy/zippy", (COPY,)), online=True)
    assert parsed("doctor") == Request(every)
    assert parsed("doctor", "--here") == Request(LookDeclared(Look.DOCTOR, CONFIG, Doctor("zippy/zippy", ())))
    assert parsed("doctor", "--here", "--dataset", "tank/a", "--exclude", "tmp", "--json") == Request(
        Doctor("tank/a", (), exclude=Exclude(("tmp",))), Show(json=True)
    )


def test_status() -> None:
    every = LookDeclared(Look.STATUS, CONFIG, Status("zippy/zippy", (COPY,)), online=True)
    assert parsed("status") == Request(every)
    offline = LookDeclared(Look.STATUS, CONFIG, Status("zippy/zippy", (COPY,), offline=True))
    assert parsed("status", "--offline", "-v") == Request(offline, Show(verbosity=1))
    assert parsed("status", "--offline", "--dataset", "tank/a", "--json") == Request(
        Status("tank/a", (COPY,), offline=True), Show(json=True)
    )


def test_report() -> None:
    web = Path("/srv/web")
    every = LookDeclared(Look.REPORT, CONFIG, Report("zippy/zippy", web), output=web)
    assert parsed("report", "--output", "/srv/web") == Request(every)
    # Only the doctor asks a receiver.
    assert parsed("report", "--output", "/srv/web", "--ssh-destination", "nas") == Request(
        Report("zippy/zippy", web)
    )
    words = ("--doctor", "--dataset", "tank/a", "--exclude", "tmp", "--json")
    assert parsed("report", "--output", "here", *words) == Request(
        Report("tank/a", Path("here"), (COPY,), exclude=Exclude(("tmp",))), Show(json=True)
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "the following arguments are required: --output"),
        (("--output", ""), "--output: an empty name; write the folder that index.html goes into, or '.'"),
        (("--output", "a", "--dataset", "a//b"), "--dataset: "),
    ],
)
def test_a_report_needs_a_folder(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError) as raised:
        parsed("report", *words)
    assert str(raised.value).startswith(said)


def test_check() -> None:
    day, late = timedelta(hours=26), timedelta(hours=50)
    line = Show(lines=Lines.SCRIPT)
    every = LookDeclared(Look.CHECK, CONFIG, Check("zippy/zippy", day, late))
    assert parsed("check") == parsed("monitor") == Request(every, line)
    assert parsed("check", "--dataset", "a") == Request(Check("a", day, late), line)
    assert parsed("check", "--receiver", "offsite", "--max-age", "36h", "--exclude", "tmp") == Request(
        Check("offsite", day, timedelta(hours=36), receiver=True, exclude=Exclude(("tmp",))), line
    )
    hour = timedelta(hours=1)
    words = ("--local", "--critical", "1h", "--retention-policy", "1", "2", "3", "--json")
    assert parsed("check", *words) == Request(
        Check("zippy/zippy", hour, hour, local=True, retention=RetentionPolicy(1, 2, 3)), Show(json=True)
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--warning", "3d", "--critical", "2d"], "write the shorter age there"),
        (["--critical", "5m"], "write a number and a unit"),
        (["--receiver", "a/b", "--local"], "choose one"),
        (["--receiver", "a/b", "--dataset", "a/b"], "choose one"),
        (["--receiver", "a//b"], "empty part"),
    ],
)
def test_check_refuses(words: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parsed("check", *words)


def test_a_file_that_is_named_is_looked_at_and_nothing_instead() -> None:
    named = Request(LookDeclared(Look.STATUS, Path("a.toml"), online=True))
    assert parsed("status", "--config", "a.toml") == named
    with pytest.raises(UsageError, match="choose one"):
        parsed("status", "--config", "a.toml", "--dataset", "tank")
    with pytest.raises(UsageError, match="write a file's name"):
        parsed("status", "--config", "")


def test_a_host_name_that_is_no_pools_name_is_no_reason_to_refuse_the_file() -> None:
    work = parse(["check"], hostname="9lives").work
    assert isinstance(work, LookDeclared)
    assert work.instead is None
    assert "--dataset" in work.refusal


def test_the_commands_know_a_source_on_another_host() -> None:
    far = SourceHost("zippy", use_sudo=True)
    words = ("--source-ssh-destination", "zippy", "--source-use-sudo")
    for work in (
        parsed("verify", *words).work,
        parsed("doctor", *words).work,
        parsed("forget", "nas", *words).work,
        parsed("quarantine", "2037-01-01T00:00:00Z", *words).work,
    ):
        assert isinstance(work, Verify | Doctor | Forget | Quarantine)
        assert work.source == far


def test_receiver_expire() -> None:
    assert parsed("receiver", "expire", "--dry-run", "--force-destroy-lots") == Request(
        ExpireReceived(force_lots=True, dry_run=True)
    )
    with pytest.raises(UsageError, match="invalid choice"):
        parsed("receiver", "destroy")


def test_quarantine() -> None:
    assert parsed("quarantine", "2037-01-01T00:00:00Z") == Request(
        Quarantine("zippy/zippy", ("zippy/zippy@2037-01-01T00:00:00Z",), COPY)
    )
    assert parsed(
        "quarantine",
        "zippy/zippy/var@2037-01-01T00:00:00Z",
        "2038-01-01T00:00:00Z",
        "--use-sudo",
        "--dry-run",
        "--ssh-destination=nas",
    ) == Request(
        Quarantine(
            "zippy/zippy",
            ("zippy/zippy/var@2037-01-01T00:00:00Z", "zippy/zippy@2038-01-01T00:00:00Z"),
            Destination("nas", "offsite/zippy", use_sudo=True),
            dry_run=True,
        )
    )
