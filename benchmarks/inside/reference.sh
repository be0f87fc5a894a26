#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The reference's way to push: list every snapshot on each side, then one package for the tree.
# reference.sh SSH_CONFIG HOST SOURCE RECEIVER TARGET [first]
set -eu
config=$1 host=$2 source=$3 receiver=$4 target=$5 first=${6:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ "$first" = first ]; then
    zfs list -H -o name -s creation -t snapshot -r "$source" > "$work/mine"
    zfs send -R "$source@$target" | ssh -F "$config" "$host" "zfs receive -F -u $receiver"
    exit
fi
zfs list -H -o name -s creation -t snapshot -r "$source" > "$work/mine"
ssh -F "$config" "$host" "zfs list -H -o name -s creation -t snapshot -r $receiver" > "$work/theirs"
base=$(awk -F@ -v mine="$source" -v theirs="$receiver" '
    NR == FNR { if ($1 == theirs) there[$2] = 1; next }
    $1 == mine && $2 in there { base = $2 }
    END { print base }' "$work/theirs" "$work/mine")
[ -n "$base" ] || { echo "no common snapshot" >&2; exit 65; }
[ "$base" != "$target" ] || exit 0
zfs send -R -I "@$base" "$source@$target" | ssh -F "$config" "$host" "zfs receive -F -u $receiver"
