#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# made.sh FOLDER VERSION: the man pages and the completions, from the parser that --help uses.
set -eu
folder=$1 version=$2
mkdir -p "$folder"
# As in a terminal of this width, whatever the builder's is.
export COLUMNS=80 LC_ALL=C.UTF-8 PYTHONPATH="$PWD"

# page NAME WORDS ABOUT INCLUDE: NAME.8 from the --help of `cyber-zfs-backup WORDS`.
page() {
    # help2man knows "Usage:" only, and wants the usage in one line. What is set by hand in the help is below.
    cat > "$folder/$1" << END
#!/bin/sh
python3 -m cyber_zfs_backup $2 "\$@" |
    sed -e '/^usage:/,/^\$/{s/^usage:/Usage:/;H;/^\$/!d;x;s/\n *//;s/\n */ /g;s/\$/\n/}' -e '/^examples:/,\$d'
END
    chmod 755 "$folder/$1"
    help2man --section=8 --no-info --name="$3" --manual='System Administration' --include="$4" \
        --source="cyber-zfs-backup $version" --version-string="$version" "$folder/$1" |
        # No date: the version says it, and two builds are the same.
        sed -E '1,5s/^(\.TH [^ ]+ "8") "[^"]*"/\1 ""/' > "$folder/$1.8"
    rm "$folder/$1"
}

help() { python3 -c "from cyber_zfs_backup.cli.helptext import *; $1"; }

# section TITLE NAME: a text of the help as it is, without its first line, which is its title there.
section() {
    printf '[%s]\n.nf\n' "$1"
    help "print(*$2.splitlines()[1:], sep='\n')" | sed -e 's/^  //' -e 's/\\/\\e/g' -e 's/-/\\-/g' -e 's/^/\\\&/'
    printf '.fi\n\n'
}

{
    section EXAMPLES EXAMPLES
    section 'EXIT STATUS' EXIT_CODES
    section JSON JSON
    cat debian/cyber-zfs-backup.h2m
} > "$folder/whole.h2m"
page cyber-zfs-backup '' 'snapshot, push and expire ZFS datasets' "$folder/whole.h2m"
help "[print(*about, sep='\t') for about in ABOUT.items()]" | while IFS='	' read -r command about; do
    include=debian/$command.h2m
    [ -e "$include" ] || include=debian/command.h2m
    page "cyber-zfs-backup-$command" "$command" "$about" "$include"
done
python3 debian/config5.py "$version" > "$folder/cyber-zfs-backup.config.5"
help "[print(*about, sep='\t') for about in SETUP.items()]" | while IFS='	' read -r side about; do
    page "cyber-zfs-backup-setup-$side" "setup $side" "$about" "debian/setup-$side.h2m"
done

# From whole_parser, because the one of the plain run has no command words.
whole=cyber_zfs_backup.cli.parser.whole_parser
# shtab 1.5 (Debian 12) offers the first of several choices only; what later ones write is left as it is.
shtab --shell=bash --prog=cyber-zfs-backup $whole |
    sed -e 's/^\(  local current_action_choices_var="${current_action}_choices\)"$/\1[@]"/' \
        -e "s/compgen -W \"\${current_action_choices}\"/compgen -W \"\${current_action_choices\/\/ \/\$'\\\\n'}\"/" \
        > "$folder/cyber-zfs-backup.bash"
shtab --shell=zsh --prog=cyber-zfs-backup $whole > "$folder/_cyber-zfs-backup"
