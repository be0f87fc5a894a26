# SPDX-License-Identifier: GPL-3.0-or-later
"""The systemd units as files: what starts what, what they may do, and that the two kinds stay alike."""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from .room import CHECKOUT

DEBIAN = CHECKOUT / "debian"
SERVICES = ("cyber-zfs-backup.service", "cyber-zfs-backup@.service")
TIMERS = ("cyber-zfs-backup.timer", "cyber-zfs-backup@.timer")
KEYGEN = "cyber-zfs-backup.cyber-zfs-backup-keygen.service"
RUN = "cyber-zfs-backup.cyber-zfs-backup-run"
NOTIFY = "cyber-zfs-backup.cyber-zfs-backup-notify"
RECEIVER = "cyber-zfs-backup.cyber-zfs-backup-receiver"
REPORT = "cyber-zfs-backup.cyber-zfs-backup-report"
EXPOSURE = 2.0
"""systemd-analyze's score that a sender's service may have at most."""
TELLS = 3.0
"""The same for what tells: mail programs need their setuid bits, and what those are for."""


def settings(name: str) -> dict[str, list[str]]:
    """A unit's values by ``Section.Setting``, in their order."""
    found: dict[str, list[str]] = defaultdict(list)
    section = ""
    for line in (DEBIAN / name).read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found[f"{section}.{key}"].append(value)
    return dict(found)


@pytest.mark.parametrize(("plain", "template"), [SERVICES, TIMERS])
def test_the_template_is_the_plain_unit_for_another_dataset(plain: str, template: str) -> None:
    one, other = settings(plain), settings(template)
    differing = {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
    assert differing <= {"Unit.Description", "Service.ExecStart"}
    assert other["Unit.Description"] == [f"{one['Unit.Description'][0]} (%i)"]
    if "Service.ExecStart" in one:
        assert other["Service.ExecStart"] == [f"{one['Service.ExecStart'][0]} --dataset=%I"]


@pytest.mark.parametrize("name", SERVICES)
def test_only_its_timer_starts_a_service(name: str) -> None:
    unit = settings(name)
    assert not [key for key in unit if key.startswith("Install.")]
    assert unit["Service.Type"] == ["oneshot"]
    assert set(unit["Unit.After"][0].split()) >= {"zfs.target", "network-online.target"}
    assert unit["Service.TimeoutStartSec"] == ["infinity"]
    assert unit["Service.IPAccounting"] == ["yes"]
    assert unit["Service.StateDirectory"] == ["cyber-zfs-backup"]


@pytest.mark.parametrize("name", TIMERS)
def test_a_timer_fires_when_it_says(name: str) -> None:
    timer = settings(name)
    assert timer["Timer.Persistent"] == ["yes"]
    assert timer["Timer.AccuracySec"] == ["1s"]
    assert not [key for key in timer if "Random" in key]
    assert timer["Install.WantedBy"] == ["timers.target"]


def test_a_fleet_is_spread_by_an_example() -> None:
    text = (DEBIAN / "examples/fleet.conf").read_text()
    assert "RandomizedDelaySec=" in text
    assert "FixedRandomDelay=yes" in text


def test_the_key_is_made_where_there_is_none() -> None:
    unit = settings(KEYGEN)
    key = "/etc/ssh/cyber-zfs-backup.id_ed25519"
    assert unit["Unit.ConditionPathExists"] == [f"!{key}"]
    assert unit["Service.ExecStart"][0].endswith(f"-f {key}")
    assert unit["Service.UMask"] == ["0077"]


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_may_do(name: str) -> None:
    done = analyze("security", "--offline=true", "--json=short", str(DEBIAN / name))
    rows = json.loads(done.stdout)
    overall = analyze(
        "security", "--offline=true", f"--threshold={EXPOSURE * 10:.0f}", "--no-pager", str(DEBIAN / name)
    )
    assert overall.returncode == 0, overall.stdout
    # What is allowed all the same is what the comments in the unit account for, and nothing else.
    allowed = {row["json_field"] for row in rows if row["set"] is False}
    assert allowed <= {
        *("UserOrDynamicUser", "PrivateUsers", "CapabilityBoundingSet_CAP_SYS_ADMIN", "DeviceAllow"),
        *("RestrictAddressFamilies_AF_UNIX", "RestrictAddressFamilies_AF_INET_INET6", "PrivateNetwork"),
        *("IPAddressDeny", "ProtectHome", "RootDirectoryOrRootImage"),
    }


def test_the_threshold_can_fail(tmp_path: Path) -> None:
    """One line less, and the test above fails."""
    unit = tmp_path / "weaker.service"
    text = (DEBIAN / SERVICES[0]).read_text()
    unit.write_text(text.replace("NoNewPrivileges=yes\n", ""))
    done = analyze("security", "--offline=true", f"--threshold={EXPOSURE * 10:.0f}", "--no-pager", str(unit))
    assert done.returncode == 1, done.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_every_allowance_says_what_it_is_for(name: str) -> None:
    """Each of these stands below a comment of its own."""
    lines = (DEBIAN / name).read_text().splitlines()
    for setting in ("CapabilityBoundingSet", "BindPaths", "ProtectHome", "RestrictAddressFamilies"):
        (place,) = (number for number, line in enumerate(lines) if line.startswith(f"{setting}="))
        above = lines[place - 1] if not lines[place - 1].startswith("PrivateDevices") else lines[place - 2]
        assert above.startswith("#"), f"{setting} has no reason"


def test_the_receivers_service_has_no_network_and_little_else() -> None:
    unit = settings(f"{RECEIVER}.service")
    assert unit["Service.ExecStart"] == ["cyber-zfs-backup receiver expire"]
    assert unit["Service.PrivateNetwork"] == ["yes"]
    assert unit["Service.RestrictAddressFamilies"] == ["AF_UNIX"]
    assert not [key for key in unit if key.startswith("Install.")]
    path = str(DEBIAN / f"{RECEIVER}.service")
    done = analyze("security", "--offline=true", f"--threshold={EXPOSURE * 10:.0f}", "--no-pager", path)
    assert done.returncode == 0, done.stdout


def test_the_receivers_timer_is_enabled_by_setup_alone() -> None:
    assert settings(f"{RECEIVER}.timer")["Install.WantedBy"] == ["timers.target"]
    rules = (DEBIAN / "rules").read_text()
    assert (
        "dh_installsystemd --name=cyber-zfs-backup-receiver --no-enable --no-start --no-stop-on-upgrade"
        in rules
    )


def test_what_is_due_is_done_in_the_senders_sandbox() -> None:
    """But for what a condition looks at; and only its timer starts it, which is enabled by hand."""
    one, other = settings(SERVICES[0]), settings(f"{RUN}.service")
    differing = {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
    assert differing == {
        *("Unit.Description", "Unit.Documentation", "Unit.ConditionPathExists", "Service.ExecStart"),
        "Service.ProcSubset",
    }
    assert other["Service.ExecStart"] == ["cyber-zfs-backup run"]
    path = str(DEBIAN / f"{RUN}.service")
    done = analyze("security", "--offline=true", f"--threshold={EXPOSURE * 10:.0f}", "--no-pager", path)
    assert done.returncode == 0, done.stdout
    assert settings(f"{RUN}.timer")["Install.WantedBy"] == ["timers.target"]
    rules = (DEBIAN / "rules").read_text()
    assert (
        "dh_installsystemd --name=cyber-zfs-backup-run --no-enable --no-start --no-stop-on-upgrade" in rules
    )


@pytest.mark.parametrize("name", [*SERVICES, f"{RUN}.service", f"{RECEIVER}.service"])
def test_somebody_is_told_where_a_service_fails(name: str) -> None:
    assert settings(name)["Unit.OnFailure"] == ["cyber-zfs-backup-notify.service"]


def test_what_tells_is_asked_each_hour_from_the_installation_on() -> None:
    timer = settings(f"{NOTIFY}.timer")
    # Never in the minute in which the other begins, though systemd may start it so much later.
    assert timer["Timer.OnCalendar"] == ["*-*-* *:32:00"]
    assert settings(f"{RUN}.timer")["Timer.OnCalendar"] == ["*:0/5"]
    assert not [key for key in timer if "Random" in key]
    assert timer["Install.WantedBy"] == ["timers.target"]
    assert "\tdh_installsystemd --name=cyber-zfs-backup-notify\n" in (DEBIAN / "rules").read_text()


def test_what_tells_is_never_kept_from_it() -> None:
    """By no condition, by a device that is missing, nor by its own failure."""
    unit = settings(f"{NOTIFY}.service")
    assert not [key for key in unit if "Condition" in key or key in ("Unit.OnFailure", "Unit.Requires")]
    assert unit["Service.BindPaths"] == ["-/dev/zfs"]
    assert unit["Service.ExecStart"] == ["cyber-zfs-backup notify"]
    assert unit["Service.RuntimeDirectoryMode"] == ["0755"]


def test_what_the_telling_service_may_do() -> None:
    path = str(DEBIAN / f"{NOTIFY}.service")
    overall = analyze("security", "--offline=true", f"--threshold={TELLS * 10:.0f}", "--no-pager", path)
    assert overall.returncode == 0, overall.stdout
    rows = json.loads(analyze("security", "--offline=true", "--json=short", path).stdout)
    assert {row["json_field"] for row in rows if row["set"] is False} <= {
        *("UserOrDynamicUser", "PrivateUsers", "DeviceAllow", "PrivateNetwork", "IPAddressDeny"),
        *("RestrictAddressFamilies_AF_UNIX", "RestrictAddressFamilies_AF_INET_INET6"),
        *("ProtectHome", "RootDirectoryOrRootImage", "NoNewPrivileges"),
        *("CapabilityBoundingSet_CAP_DAC_FOWNER_IPC_OWNER", "CapabilityBoundingSet_CAP_CHOWN_FSETID_SETFCAP"),
        *("CapabilityBoundingSet_CAP_SET_UID_GID_PCAP", "SystemCallFilter_privileged"),
        "SystemCallFilter_resources",
    }


def test_every_allowance_of_what_tells_says_what_it_is_for() -> None:
    text = (DEBIAN / f"{NOTIFY}.service").read_text()
    comments = " ".join(line[1:].strip() for line in text.splitlines() if line.startswith("#"))
    (capabilities,) = settings(f"{NOTIFY}.service")["Service.CapabilityBoundingSet"]
    for word in (*capabilities.split(), "NoNewPrivileges=no", "AF_INET6", "@privileged", "@resources"):
        assert word in comments, word
    lines = text.splitlines()
    for setting in ("KillMode", "ReadWritePaths", "ProtectHome", "RestrictAddressFamilies"):
        (place,) = (number for number, line in enumerate(lines) if line.startswith(f"{setting}="))
        assert lines[place - 1].startswith("#"), f"{setting} has no reason"


def test_the_reports_service_has_no_network_and_no_capability() -> None:
    unit = settings(f"{REPORT}.service")
    assert unit["Service.ExecStart"] == [
        "cyber-zfs-backup report --output /var/cache/cyber-zfs-backup/report"
    ]
    assert unit["Service.PrivateNetwork"] == ["yes"]
    assert unit["Service.CapabilityBoundingSet"] == [""]
    # The records are root's alone, the page is everybody's.
    assert (unit["Service.StateDirectoryMode"], unit["Service.CacheDirectoryMode"]) == (["0700"], ["0755"])
    assert not [key for key in unit if key.startswith("Install.")]
    done = analyze(
        "security", "--offline=true", "--threshold=13", "--no-pager", str(DEBIAN / f"{REPORT}.service")
    )
    assert done.returncode == 0, done.stdout


def test_it_is_held_in_as_the_receivers_is() -> None:
    one, other = settings(f"{RECEIVER}.service"), settings(f"{REPORT}.service")
    sandbox = {
        key for key in one if key.split(".")[1].startswith(("Protect", "Private", "Restrict", "System"))
    }
    assert {key for key in sandbox if one[key] != other.get(key)} == set()


def test_the_reports_timer_is_enabled_by_hand_alone() -> None:
    timer = settings(f"{REPORT}.timer")
    assert (timer["Timer.Persistent"], timer["Install.WantedBy"]) == (["yes"], ["timers.target"])
    rules = (DEBIAN / "rules").read_text()
    assert (
        "dh_installsystemd --name=cyber-zfs-backup-report --no-enable --no-start --no-stop-on-upgrade"
        in rules
    )
