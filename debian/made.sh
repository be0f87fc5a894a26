#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# made.sh FOLDER VERSION: the man page and the completions, from the parser that --help uses.
set -eu
folder=$1 version=$2
mkdir -p "$folder"
# As in a terminal of this width, whatever the builder's is.
export COLUMNS=80 LC_ALL=C.UTF-8 PYTHONPATH="$PWD"
program=$folder/cyber-zfs-backup
printf '#!/bin/sh\nexec python3 -m cyber_zfs_backup "$@"\n' > "$program"
chmod 755 "$program"
help2man --section=8 --no-info --name='snapshot, push and expire ZFS datasets' \
    --manual='System Administration' --source="cyber-zfs-backup $version" \
    --include=debian/cyber-zfs-backup.h2m "$program" |
    # No date: the version says it, and two builds are the same.
    sed -E '1,5s/^(\.TH [^ ]+ "8") "[^"]*"/\1 ""/' > "$folder/cyber-zfs-backup.8"
for shell in bash zsh; do
    shtab --shell="$shell" --prog=cyber-zfs-backup cyber_zfs_backup.cli.parser.run_parser > "$folder/cyber-zfs-backup.$shell"
done
mv "$folder/cyber-zfs-backup.zsh" "$folder/_cyber-zfs-backup"
