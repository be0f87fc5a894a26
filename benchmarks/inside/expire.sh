#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The reference's way to expire: list the tree's snapshots, destroy those of the given names at once.
# expire.sh SOURCE NAME...
set -eu
source=$1
shift
zfs list -H -o name -s creation -t snapshot -r "$source" > /dev/null
names=$(printf ',%s' "$@")
zfs destroy -r "$source@${names#,}"
