#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The bare level pipeline, by hand: the cheap question, joined streams on one connection, the cheap
# check, and the same property, hold and releases in the same order as the product's.
# bare.sh SSH_CONFIG HOST SOURCE RECEIVER TARGET [adopt]
set -eu
config=$1 host=$2 source=$3 receiver=$4 target=$5 adopt=${6:-}
# With the product's prefix, so that it takes this for no change of the source's properties.
property=cyber-zfs-backup:bare.$(printf %s "$receiver" | tr / .)
tag=bare:$receiver
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
far() { ssh -F "$config" "$host" "$1"; }
columns="zfs list -Hp -o name,guid,createtxg -t snapshot"

if [ "$adopt" = adopt ]; then
    # What a first push leaves behind.
    zfs set "$property=$target" "$source"
    zfs hold -r "$tag" "$source@$target"
    exit
fi

# The cheap question: both sides at the same time, by name.
zfs get -Hp -r -t filesystem,volume -o name,value "$property" "$source" > "$work/datasets"
read -r _ base < "$work/datasets"
mine= theirs= theirs_target=
while read -r name _; do
    below=${name#"$source"}
    mine="$mine $name@$base $name@$target"
    theirs="$theirs $receiver$below@$base $receiver$below@$target"
    theirs_target="$theirs_target $receiver$below@$target"
done < "$work/datasets"
$columns $mine > "$work/mine" &
# Names that are not there yet are no error: the comparison finds what matters.
far "zfs get -Hp -r -t filesystem,volume -o value receive_resume_token $receiver
    $columns $theirs 2> /dev/null; true" > "$work/theirs"
wait $!
! grep -q '^[0-9a-f]*-[0-9a-f]*-' "$work/theirs" || { echo "a partial receive" >&2; exit 65; }

# same NAME FILE: whether every dataset has the same NAME, by GUID, on both sides.
same() {
    awk -F '[@\t]' -v name="$1" -v source="$source" -v receiver="$receiver" '
        NR == FNR { if ($2 == name) guid[receiver substr($1, length(source) + 1)] = $3; next }
        $2 == name && guid[$1] == $3 { delete guid[$1] }
        END { for (left in guid) exit 1 }' "$work/mine" "$2"
}
same "$base" "$work/theirs" || { echo "another base" >&2; exit 65; }
if same "$target" "$work/theirs"; then exit 0; fi

# The target is named and held before the first byte.
zfs set "$property=$base,$target" "$source"
zfs hold -r "$tag" "$source@$target"

receives=
while read -r name _; do
    receives="$receives${receives:+ && }zfs receive -s -u $receiver${name#"$source"}"
done < "$work/datasets"
while read -r name _; do
    zfs send -w -I "@$base" "$name@$target" || exit
done < "$work/datasets" | far "$receives"

# Asked again, by name; only then the base moves.
far "$columns $theirs_target" > "$work/arrived"
same "$target" "$work/arrived" || { echo "not everything has arrived" >&2; exit 1; }
zfs set "$property=$target,$base" "$source"
zfs release -r "$tag" "$source@$base"
zfs set "$property=$target" "$source"
