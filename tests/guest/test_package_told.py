# SPDX-License-Identifier: GPL-3.0-or-later
"""The package tells: one mail when a backup breaks, none the next time, one when it is well."""

from __future__ import annotations

import email.policy
import json
import time
from collections.abc import Iterator
from email.parser import BytesParser

import pytest

from .installed import NAME, Installed
from .lab import Lab

TREE = "guest/guest"
NOTIFY = f"{NAME}-notify.service"
MAILS = "/var/spool/told"
CONFIG = f"/etc/{NAME}/config.toml"
NOTICE = f"/run/{NAME}/notice"
SENDMAIL = f"""\
#!/bin/sh
# One that keeps what it gets, and who it was run as: a program with a setgid bit tells.
name=$(ls {MAILS} | wc -l)
{{ echo "$*"; /usr/local/bin/id-told; }} > /var/spool/told.who
cat > {MAILS}/$name
"""
HOOK = """\
import http.server

class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        open("/run/hook.json", "ab").write(data + b"\\n")
        self.send_response(204)
        self.end_headers()

http.server.HTTPServer(("127.0.0.1", 8099), Hook).serve_forever()
"""


@pytest.fixture
def machine(lab: Lab, package: Installed) -> Iterator[Installed]:
    """A machine that is backed up and has mail, with nothing on record yet."""
    lab.pools.make("guest")
    lab.pools.make("offsite")
    lab.pools.tree(TREE, ["home"])
    package.reach(lab.alpha)
    package.runs("--force-non-incremental", "--retries", "0")
    guest = package.guest
    forget = (
        f"rm -rf /var/lib/{NAME}/*.json* {NOTICE} /run/{NAME}/told.json /root/.local/state/{NAME} {MAILS}"
    )
    guest.script(
        f"systemctl stop {NOTIFY}\n{forget}\nmkdir {MAILS}\n"
        "install -g mail -m 2755 /usr/bin/id /usr/local/bin/id-told\n"
        "if [ -e /usr/sbin/sendmail ]; then mv /usr/sbin/sendmail /usr/sbin/sendmail.away; fi"
    )
    guest.put(SENDMAIL.encode(), "/usr/sbin/sendmail", mode=0o755)
    wish(package, 'mail = ["root"]\non = ["failure", "late", "recovery"]')
    yield package
    guest.try_script(
        f"systemctl stop told-hook {NOTIFY} || true\n{forget} {CONFIG}\n"
        "rm -f /usr/local/bin/id-told /run/hook.* /var/spool/told.who /usr/sbin/sendmail\n"
        "if [ -e /usr/sbin/sendmail.away ]; then mv /usr/sbin/sendmail.away /usr/sbin/sendmail; fi"
    ).check()


def wish(machine: Installed, text: str) -> None:
    """Say in the configuration file who is told."""
    machine.guest.script(f"mkdir -p /etc/{NAME}")
    machine.guest.put(f"[notification]\n{text}\n".encode(), CONFIG)


def mails(machine: Installed) -> list[str]:
    """What sendmail got, the first first: each subject, and the text below it."""
    names = machine.guest.script(f"ls {MAILS} | sort -n").text.split()
    parser = BytesParser(policy=email.policy.default)
    found = [parser.parsebytes(machine.guest.get(f"{MAILS}/{name}")) for name in names]
    assert {mail["Auto-Submitted"] for mail in found} <= {"auto-generated"}
    return [f"{mail['Subject']}\n{mail.get_content()}" for mail in found]


def fail(machine: Installed) -> None:
    """A night that fails, until what it starts has ended, too."""
    before = machine.show("InvocationID", NOTIFY)
    assert not machine.start().ok
    limit = time.monotonic() + 120
    while (
        machine.show("InvocationID", NOTIFY) == before or machine.show("ActiveState", NOTIFY) == "activating"
    ):
        assert time.monotonic() < limit, "OnFailure= started nothing"
        time.sleep(0.5)
    assert machine.show("Result", NOTIFY) == "success", said(machine)


def said(machine: Installed) -> str:
    return machine.guest.script(f"journalctl -u {NOTIFY} --no-pager -n 30").text


def look(machine: Installed) -> None:
    """What the timer does."""
    started = machine.guest.run(["systemctl", "start", NOTIFY], timeout=300)
    assert started.ok, said(machine)


def login(machine: Installed) -> str:
    """What somebody sees who logs in on a terminal."""
    argv = ["script", "--quiet", "--return", "--command", "bash -lic true", "/dev/null"]
    return machine.guest.run(argv, env={"HOME": "/root", "TERM": "dumb"}, timeout=60).check().text


def test_one_mail_when_it_breaks_and_one_when_it_is_well(machine: Installed, lab: Lab) -> None:
    machine.start().check()
    look(machine)
    assert mails(machine) == []
    assert "need you" not in login(machine)

    lab.alpha.stop()
    fail(machine)
    (mail,) = mails(machine)
    assert mail.startswith(f"[guest] backup: the backup of {TREE} to offsite:offsite/guest failed")
    assert "Connection refused" in mail
    words, who = machine.guest.script("cat /var/spool/told.who").text.splitlines()
    assert words == "-i -- root"
    # The sandbox lets a mail program be what its setgid bit makes it.
    assert "(mail)" in who
    assert machine.failed() == [f"{NAME}.service"]

    fail(machine)
    look(machine)
    assert len(mails(machine)) == 1

    lab.alpha.begin()
    machine.start().check()
    look(machine)
    assert len(mails(machine)) == 2
    assert mails(machine)[1].startswith("[guest] backup: well again: ")
    look(machine)
    assert len(mails(machine)) == 2
    assert machine.failed() == []


@pytest.mark.nightly
def test_a_login_shows_it_until_it_was_seen(machine: Installed, lab: Lab) -> None:
    lab.alpha.stop()
    fail(machine)
    modes = machine.guest.script(f"stat -c '%a %U' {NOTICE} /run/{NAME}").text.splitlines()
    assert modes == ["644 root", "755 root"]
    assert machine.guest.script(f"stat -c '%a' /var/lib/{NAME}/told.json").text.strip() == "600"
    assert f"the backup of {TREE} to offsite:offsite/guest failed" in login(machine)
    assert "need you" not in login(machine)
    # Nor does another night of the same.
    fail(machine)
    assert "need you" not in login(machine)
    # Somebody else has not seen it. What nobody sits at says nothing.
    machine.guest.script("rm -r /root/.local/state/cyber-zfs-backup")
    assert machine.guest.script("HOME=/root bash -lic true 2>&1 | grep 'need you' || true").text == ""
    assert "need you" in login(machine)
    lab.alpha.begin()
    machine.start().check()
    look(machine)
    assert not machine.guest.run(["test", "-e", NOTICE]).ok


def test_a_webhook_and_a_command_from_within_the_sandbox(machine: Installed, lab: Lab) -> None:
    machine.guest.put(HOOK.encode(), "/run/hook.py")
    machine.guest.script(
        "systemd-run --quiet --unit=told-hook python3 /run/hook.py\n"
        "i=0; until python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 8099))'\n"
        "do i=$((i + 1)); [ $i -lt 100 ]; sleep 0.3; done"
    )
    wish(
        machine,
        'webhook = ["http://127.0.0.1:8099/S3cret"]\ncommand = ["/usr/bin/logger", "-t", "told"]\n'
        "login = false",
    )
    lab.alpha.stop()
    fail(machine)
    (document,) = machine.guest.script("cat /run/hook.json").text.splitlines()
    assert json.loads(document)["new"][0]["topic"] == "failure"
    assert f"the backup of {TREE}" in machine.guest.script("journalctl -t told --no-pager -o cat").text
    assert "S3cret" not in said(machine)
    assert not machine.guest.run(["test", "-e", NOTICE]).ok


def test_it_comes_with_the_package_and_goes_with_it(machine: Installed, lab: Lab) -> None:
    timer = f"{NAME}-notify.timer"
    assert (machine.show("UnitFileState", timer), machine.show("ActiveState", timer)) == ("enabled", "active")
    lab.alpha.stop()
    fail(machine)
    assert machine.guest.run(["test", "-e", NOTICE]).ok
    machine.apt("remove", NAME).check()
    assert not machine.guest.run(["test", "-e", NOTICE]).ok
    assert "need you" not in login(machine)
    machine.apt("purge", NAME).check()
    left = f"ls -d /etc/profile.d/{NAME}.sh /var/lib/{NAME} /run/{NAME} || true"
    assert machine.guest.script(left).text == ""
