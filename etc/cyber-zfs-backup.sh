# SPDX-License-Identifier: GPL-3.0-or-later
# /etc/profile.d/cyber-zfs-backup.sh: shows whoever logs in that backups need him, once, until there is more to
# say. Root writes the notice (cyber-zfs-backup notify), and removes it once all is well.
# Sourced by every login, so: nothing here may end it, change it, or take time where there is no notice.
case $- in
    *i*)
        # On a terminal only: what starts an interactive shell to read its environment has nobody to see it.
        if [ -r /run/cyber-zfs-backup/notice ] && [ -t 2 ]; then
            # In a subshell, whatever options and variables the login has.
            (
                set +eu
                set +C
                notice=/run/cyber-zfs-backup/notice
                seen=
                id=
                IFS= read -r id < "$notice"
                # Without a home there is no place to note what was seen: then it is shown each time.
                folder=${XDG_STATE_HOME:-${HOME:+$HOME/.local/state}}
                folder=${folder:+$folder/cyber-zfs-backup}
                if [ -n "$folder" ] && [ -f "$folder/seen" ] && [ -r "$folder/seen" ]; then
                    IFS= read -r seen < "$folder/seen"
                fi
                if [ -z "$id" ] || [ "$id" != "$seen" ]; then
                    # Whatever it has in it, it moves no cursor.
                    command tail -n +2 "$notice" | LC_ALL=C command tr -d '\000-\010\013-\037\177' >&2
                    if [ -n "$id" ] && [ -n "$folder" ]; then
                        umask 077
                        command mkdir -p "$folder" && printf '%s\n' "$id" > "$folder/seen"
                    fi 2> /dev/null
                fi
            ) || :
        fi
        ;;
esac
