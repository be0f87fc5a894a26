#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Run once after each boot, before the booted state is kept.
set -eu
for module in zfs veth sch_netem; do modprobe "$module"; done
systemctl is-system-running --wait > /dev/null 2>&1 || true
udevadm settle
mkdir -p /run/sshd
mkdir -p /run/lab /var/lib/lab
mountpoint -q /run/lab || mount -t tmpfs -o size=3G,mode=755 lab /run/lab
cp /run/inside/lab.sh /run/lab/lab.sh
sh /run/lab/lab.sh client
number=1
for name in alpha beta; do
    sh /run/lab/lab.sh host "$name" "$number" 22
    sh /run/lab/lab.sh keep "$name"
    number=$((number + 1))
done
