# SPDX-License-Identifier: GPL-3.0-or-later
"""The package on a machine: installed as a user does it, overridden by ``systemctl edit``, looked at."""

from __future__ import annotations

import json
import shlex
import time
from dataclasses import dataclass

from tests.package.builds import Built

from .channel import Result
from .guest import Guest
from .lab import Host, snapshots

NAME = "cyber-zfs-backup"
KEY = "/etc/ssh/cyber-zfs-backup.id_ed25519"
CONFIG = "/etc/ssh/cyber-zfs-backup.ssh_config"
KNOWN = "/etc/ssh/cyber-zfs-backup.known_hosts"
DEBS = "/root/debs"
EDITOR = """\
#!/bin/sh
# Somebody who puts something else between the two comments that systemctl edit writes; with any other file
# what is typed are commands for it.
for file; do :; done
if grep -q '^### Anything between' "$file"; then
    sed -i -e '/^### Anything between/,/^### [A-Z][a-z]* below/{/^###/!d}' "$file"
    sed -i -e "/^### Anything between/r $TYPED" "$file"
else
    sh "$TYPED" "$file"
fi
"""


@dataclass(frozen=True, slots=True)
class Installed:
    """The package in the guest. ``tidy`` makes the machine as if it had never been there."""

    guest: Guest

    def put(self, built: Built) -> str:
        """Bring a .deb there; answers its path."""
        path = f"{DEBS}/{built.deb.name}"
        self.guest.put(built.deb, path)
        return path

    def install(self, built: Built, *options: str) -> Result:
        """``apt install ./cyber-zfs-backup_*_all.deb``; the guest has no network."""
        self.put(built)
        return self.apt("install", *options, f"./{built.deb.name}")

    def apt(self, *words: str) -> Result:
        """Run apt-get, in the folder of the .deb files, without questions."""
        env = {"DEBIAN_FRONTEND": "noninteractive"}
        return self.guest.run(["apt-get", "-y", *words], cwd=DEBS, env=env, timeout=300)

    def edit(self, unit: str, text: str) -> None:
        """``systemctl edit UNIT``, typing ``text``."""
        self.typing(text, f"systemctl edit {unit}").check()

    def typing(self, text: str, command: str) -> Result:
        """Run a command that opens an editor, in which somebody types ``text``."""
        self.guest.put(EDITOR.encode(), "/usr/local/bin/editor", mode=0o755)
        self.guest.put(f"{text}\n".encode(), "/run/typed")
        env = {"EDITOR": "/usr/local/bin/editor", "TYPED": "/run/typed"}
        # systemctl edits on a terminal only.
        argv = ["script", "--quiet", "--return", "--command", command, "/dev/null"]
        return self.guest.run(argv, env=env, timeout=120)

    def reach(self, host: Host) -> None:
        """Make ``offsite`` a host of the lab: its name, the key there, its host key here."""
        host.authorize("root", key=self.guest.get(f"{KEY}.pub").decode())
        self.guest.script(
            f"sed -i 's/HostName .*/HostName {host.address}/' {CONFIG}\n"
            # See client() of lab.sh: the default takes twice as long in emulation.
            f"printf '    KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org\\n' >> {CONFIG}\n"
            f"cat {host.folder}/known > {KNOWN}"
        )

    def runs(self, *options: str, settings: str = "") -> None:
        """Override what the service runs: the program with its ssh configuration and these options."""
        line = shlex.join([NAME, f"--ssh-config={CONFIG}", *options])
        self.edit(NAME, f"[Service]\nExecStart=\nExecStart={line}\n{settings}")

    def start(self) -> Result:
        """``systemctl start``; comes back when the run has ended."""
        return self.guest.run(["systemctl", "start", NAME], timeout=600)

    def show(self, prop: str, unit: str = NAME) -> str:
        """A property of a unit."""
        return self.guest.run(["systemctl", "show", "-p", prop, "--value", unit]).check().text.strip()

    def wait(self, prop: str, value: str) -> None:
        """Wait until a property of the service has a value."""
        limit = time.monotonic() + 300
        while (now := self.show(prop)) != value:
            assert time.monotonic() < limit, f"{prop} is {now} and not {value}"
            time.sleep(0.5)

    def messages(self) -> list[tuple[int, str]]:
        """Priority and text of what the newest run itself has said."""
        run = self.show("InvocationID")
        argv = ["journalctl", "-o", "json", "--no-pager", f"_SYSTEMD_INVOCATION_ID={run}"]
        rows = [json.loads(line) for line in self.guest.run(argv).check().text.splitlines()]
        return [(int(row["PRIORITY"]), row["MESSAGE"]) for row in rows]

    def said(self) -> str:
        """The texts of ``messages``, a line each."""
        return "\n".join(text for _priority, text in self.messages())

    def snapshots(self, root: str) -> dict[str, str]:
        """Relative name of every snapshot below a root to its GUID."""
        return snapshots(self.guest, root)

    def failed(self) -> list[str]:
        """What ``systemctl --failed`` lists."""
        argv = ["systemctl", "list-units", "--failed", "--plain", "--no-legend"]
        return [line.split()[0] for line in self.guest.run(argv).check().text.splitlines()]

    def version(self) -> str:
        """Which version is installed; empty where none is."""
        argv = ["dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Version}", NAME]
        said = self.guest.run(argv).text
        return said[3:] if said.startswith("ii ") else ""

    def settle(self, built: Built) -> None:
        """Have this package installed, with nothing changed since: no overrides, the conffile as it came."""
        if self.version() != built.control("Version") or not self.guest.run(["test", "-e", KEY]).ok:
            self.tidy()
            self.install(built).check()
        self.guest.script(
            f"""
            systemctl stop '{NAME}*.service' '{NAME}@*.timer'
            rm -rf /etc/systemd/system/{NAME}*.d /etc/systemd/system/*/{NAME}@* {KNOWN} /root/.ssh
            dpkg-deb --fsys-tarfile {self.put(built)} | tar -xO .{CONFIG} > {CONFIG}
            systemctl daemon-reload
            systemctl reset-failed
            systemctl restart {NAME}.timer
            """
        )

    def tidy(self) -> None:
        """Remove the package and all that tests have made around it."""
        self.guest.try_script(
            f"""
            systemctl stop '{NAME}*.timer' '{NAME}*.service'
            if dpkg-query -W {NAME} > /dev/null 2>&1; then dpkg --purge {NAME} > /dev/null; fi
            rm -rf /etc/systemd/system/{NAME}*.d /etc/systemd/system/*/{NAME}* /etc/ssh/{NAME}.*
            rm -rf /var/lib/{NAME} /root/.ssh /usr/local/bin/editor /run/typed {DEBS}
            systemctl daemon-reload
            systemctl reset-failed
            """,
            timeout=300,
        ).check()
