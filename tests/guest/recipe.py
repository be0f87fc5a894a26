# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guest's image is made of: pure values, from which its name in the cache follows.

Anything that changes the image changes its fingerprint, so an image in the cache is either exactly
what this file describes or is not found.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import PurePosixPath

IMAGE_SIZE = "4G"
"""The file system's size; the file is sparse, so only what is used counts."""


class Suite(StrEnum):
    """The Debian releases that the guest can be."""

    BOOKWORM = "bookworm"
    TRIXIE = "trixie"


KERNEL = ("linux-image-cloud-amd64", "linux-headers-cloud-amd64", "initramfs-tools", "kmod")
SYSTEM = (
    "systemd",
    "systemd-sysv",
    "udev",
    "dbus",
    "procps",
    "iproute2",
    "openssh-server",
    "openssh-client",
    "sudo",
    "strace",
)
ZFS = ("zfs-dkms", "zfsutils-linux")
PYTHON = (
    "python3",
    "python3-paramiko",
    "python3-dateutil",
    "python3-rich",
    "python3-jinja2",
    "python3-jsonschema",
    "python3-prometheus-client",
    "python3-pytest",
)
PACKAGES = (*KERNEL, *SYSTEM, *ZFS, *PYTHON)

BUILD_ONLY = ("zfs-dkms", "linux-headers-*", "linux-kbuild-*")
"""What only the module's build needs; it goes before the image is written, with its dependencies."""

SMALL = ("--mode=root", "--variant=minbase")
QUICK = (
    "--aptopt=Apt::Install-Recommends false",
    "--aptopt=Acquire::Languages none",
    "--aptopt=Acquire::Retries 3",
    "--dpkgopt=force-unsafe-io",
)
"""What every Debian that is made here is made with."""

OPTIONS = (
    *SMALL,
    "--format=directory",
    "--skip=cleanup/apt/lists",
    *QUICK,
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
)
"""How mmdebstrap is called."""

AGENT_UNIT = """\
[Unit]
Description=Agent of the test harness
DefaultDependencies=no
After=systemd-udevd.service systemd-udev-trigger.service local-fs.target
Requires=dev-virtio\\x2dports-cyber\\x2dzfs\\x2dbackup.device
After=dev-virtio\\x2dports-cyber\\x2dzfs\\x2dbackup.device

[Service]
ExecStartPre=/bin/sh -c 'tar -xf /dev/disk/by-id/virtio-inside -C /run'
ExecStart=/bin/sh /run/inside/start.sh
Restart=always
RestartSec=1
KillMode=process
OOMScoreAdjust=-900

[Install]
WantedBy=sysinit.target
"""

PORT_RULE = 'SUBSYSTEM=="virtio-ports", ATTR{name}=="cyber-zfs-backup", TAG+="systemd"\n'

SETTLE = r"""#!/bin/sh
# Before the packages: settings that they read while they are installed.
set -eu
root=$1
mkdir -p "$root/etc/initramfs-tools/conf.d" "$root/usr/share/initramfs-tools/modules.d"
printf 'MODULES=list\nCOMPRESS=gzip\n' > "$root/etc/initramfs-tools/conf.d/guest"
printf 'virtio_pci\nvirtio_blk\next4\n' > "$root/usr/share/initramfs-tools/modules.d/guest"
echo 'I: installing packages and compiling the zfs module (the longest part)'
"""

FINISH = r"""#!/bin/sh
# After the packages: keep the module, drop what built it, and set the machine up.
set -eu
root=$1 files=$2
shift 2
export DEBIAN_FRONTEND=noninteractive
kernel=$(basename "$root"/lib/modules/*-amd64)
built=$(find "$root/lib/modules/$kernel" -name 'zfs.ko*' | head -n 1)
if [ -z "$built" ]; then
    echo 'E: no zfs module for kernel' "$kernel"
    cat "$root"/var/lib/dkms/zfs/*/build/make.log 2>/dev/null | tail -n 40
    exit 1
fi
echo 'I: dropping compilers and headers'
cp -a "$(dirname "$built")" "$root/lib/modules/$kernel/zfs-kept"
chroot "$root" apt-get -qq -y -o APT::AutoRemove::RecommendsImportant=0 \
    -o APT::AutoRemove::SuggestsImportant=0 autoremove --purge \
    $(chroot "$root" dpkg-query -W -f '${Package} ' "$@")
mkdir -p "$root/lib/modules/$kernel/updates"
mv "$root/lib/modules/$kernel/zfs-kept" "$root/lib/modules/$kernel/updates/zfs"
chroot "$root" depmod "$kernel"
chroot "$root" modinfo -k "$kernel" zfs > /dev/null
for tool in zfs zpool sshd python3 tc; do
    chroot "$root" sh -c "PATH=/usr/sbin:/sbin:\$PATH command -v $tool" > /dev/null
done
echo 'I: setting the machine up'
cp -r "$files/." "$root/"
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    e2scrub_reap.service fstrim.timer getty@tty1.service serial-getty@ttyS0.service \
    systemd-pstore.service systemd-random-seed.service zfs-zed.service zfs-share.service \
    systemd-networkd.service systemd-resolved.service systemd-update-utmp.service \
    ssh.service ssh.socket; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
chroot "$root" systemctl -q enable guest-agent.service
chroot "$root" passwd -q -d root
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/lib/dkms "$root"/usr/src/* \
    "$root"/etc/dpkg/dpkg.cfg.d/99mmdebstrap "$root"/etc/apt/apt.conf.d/99mmdebstrap \
    "$root"/etc/ssh/ssh_host_*_key*
"""

FILES: dict[str, str] = {
    "etc/hostname": "guest\n",
    "etc/hosts": "127.0.0.1 localhost guest\n::1 localhost\n",
    "etc/fstab": "/dev/vda / ext4 noatime 0 0\n",
    "etc/machine-id": "5f0c7c5a2f6a4d0c9d0b5a3c1e6f7a80\n",
    "etc/modules-load.d/guest.conf": "zfs\nveth\nsch_netem\n",
    # The host may have little memory to spare, and pools here are small.
    "etc/modprobe.d/guest.conf": "options zfs zfs_arc_max=536870912\n",
    "etc/systemd/journald.conf.d/guest.conf": "[Journal]\nStorage=volatile\nRateLimitBurst=0\n",
    "etc/systemd/system.conf.d/guest.conf": "[Manager]\nDefaultDeviceTimeoutSec=300\n",
    "etc/systemd/system/guest-agent.service": AGENT_UNIT,
    "etc/udev/rules.d/90-guest.rules": PORT_RULE,
}
"""Files of the guest, by path below its root."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides what the image of one suite is."""

    suite: Suite
    packages: tuple[str, ...] = PACKAGES
    options: tuple[str, ...] = OPTIONS
    settle: str = SETTLE
    finish: str = FINISH
    drop: tuple[str, ...] = BUILD_ONLY
    files: tuple[tuple[str, str], ...] = tuple(FILES.items())
    size: str = IMAGE_SIZE

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that change with anything in the recipe."""
        parts = [str(self.suite), *(getattr(self, field.name) for field in fields(self)[1:])]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]

    @property
    def folder(self) -> str:
        """The name of the image's folder in the cache."""
        return f"{self.suite}-{self.fingerprint}"


@dataclass(frozen=True, slots=True)
class Source:
    """One entry of this machine's apt configuration: where, which release, which component."""

    uri: str
    release: str
    component: str


def read_sources(indextargets: str) -> tuple[Source, ...]:
    """Parse lines of ``uri TAB release TAB component`` (``apt-get indextargets --format``)."""
    rows = (line.split("\t") for line in indextargets.splitlines())
    return tuple(dict.fromkeys(Source(*row) for row in rows if len(row) == 3 and row[2] == "main"))


def debian_lines(sources: Sequence[Source], host_release: str, suite: Suite) -> tuple[str, ...]:
    """The guest's apt lines: this machine's own Debian mirrors, with the guest's suite and contrib.

    ``host_release`` is the code name of the Debian that this machine runs; its sources may also say
    ``stable`` or ``oldstable``. Raises ValueError where no mirror of Debian is configured.
    """
    names = (host_release, "stable", "oldstable")
    lines: dict[str, None] = {}
    for source in sources:
        name, _, pocket = str(PurePosixPath(source.release)).replace("/", "-").partition("-")
        if name in names and pocket in ("", "updates", "security"):
            release = f"{suite}-{pocket}" if pocket else suite.value
            lines[f"deb {source.uri} {release} main contrib"] = None
    if not any(line.split()[2] == suite for line in lines):
        raise ValueError(f"no mirror of Debian {host_release} in this machine's apt sources")
    return tuple(lines)
