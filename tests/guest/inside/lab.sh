#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The test ground in the guest: "hosts" that are network namespaces with an sshd each, and pools on
# files. Called by seed.sh at boot and by the fixtures outside.
set -eu
LAB=/run/lab
CLIENT=$LAB/client
DISK=/var/lib/lab

die() { echo "lab: $*" >&2; exit 1; }

# The client side: one key, one ssh_config, one known_hosts.
client() {
    mkdir -p "$CLIENT" "$LAB/hosts" "$LAB/pools" "$DISK" /run/sshd
    [ -f "$CLIENT/id_ed25519" ] || ssh-keygen -q -t ed25519 -N '' -C lab -f "$CLIENT/id_ed25519"
    : > "$CLIENT/known_hosts"
    cat > "$CLIENT/ssh_config" <<END
Include $LAB/hosts/*/client.conf
Host *
    IdentityFile $CLIENT/id_ed25519
    IdentitiesOnly yes
    UserKnownHostsFile $CLIENT/known_hosts
    GlobalKnownHostsFile /dev/null
    BatchMode yes
    # The default (sntrup761x25519) takes twice as long in an emulated guest.
    KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org
END
}

# host NAME INDEX PORT: a namespace NAME at 10.77.INDEX.2 with sshd on PORT, seen from 10.77.INDEX.1.
host() {
    name=$1 index=$2 port=$3 here=$LAB/hosts/$1
    mkdir -p "$here/authorized"
    ip netns add "$name"
    ip link add "v-$name" type veth peer name eth0 netns "$name"
    ip addr add "10.77.$index.1/24" dev "v-$name"
    ip link set "v-$name" up
    ip -n "$name" addr add "10.77.$index.2/24" dev eth0
    ip -n "$name" link set lo up
    ip -n "$name" link set eth0 up
    ssh-keygen -q -t ed25519 -N '' -C "$name" -f "$here/host_key"
    cat > "$here/sshd_config" <<END
Port $port
HostKey $here/host_key
PidFile $here/sshd.pid
AuthorizedKeysFile $here/authorized/%u
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM yes
UseDNS no
PrintMotd no
Subsystem sftp internal-sftp
END
    printf 'Host %s\n    HostName 10.77.%s.2\n    Port %s\n    User root\n' "$name" "$index" "$port" \
        > "$here/client.conf"
    if [ "$port" = 22 ]; then known=10.77.$index.2; else known="[10.77.$index.2]:$port"; fi
    printf '%s %s\n' "$known" "$(cut -d' ' -f1,2 "$here/host_key.pub")" > "$here/known"
    trust "$name"
    sshd_up "$name"
}

# trust NAME: as a new host is: the client's key opens root's account, and the client knows the host.
trust() {
    here=$LAB/hosts/$1
    rm -f "$here"/authorized/*
    cp "$CLIENT/id_ed25519.pub" "$here/authorized/root"
    cat "$LAB"/hosts/*/known > "$CLIENT/known_hosts"
}

sshd_up() {
    here=$LAB/hosts/$1
    [ -f "$here/sshd.pid" ] && kill -0 "$(cat "$here/sshd.pid")" 2> /dev/null && return 0
    # Not "ip netns exec": that has a mount namespace of its own, whose mounts would keep pools busy.
    nsenter --net="/run/netns/$1" /usr/sbin/sshd -f "$here/sshd_config" -E "$here/sshd.log"
}

sshd_down() {
    here=$LAB/hosts/$1
    pids=$(ip netns pids "$1")
    [ -z "$pids" ] || kill -KILL $pids 2> /dev/null || true
    rm -f "$here/sshd.pid"
}

remove_host() {
    sshd_down "$1"
    ip link del "v-$1" 2> /dev/null || true
    ip netns del "$1" 2> /dev/null || true
    rm -rf "${LAB:?}/hosts/$1"
}

# netem NAME ARGS...: what tc's netem says, on both ends of the host's link.
netem() {
    name=$1
    shift
    tc qdisc replace dev "v-$name" root netem "$@"
    tc -n "$name" qdisc replace dev eth0 root netem "$@"
}

netem_off() {
    tc qdisc del dev "v-$1" root 2> /dev/null || true
    tc -n "$1" qdisc del dev eth0 root 2> /dev/null || true
}

user() {
    id "$1" > /dev/null 2>&1 && return 0
    # A '*' as password lets sshd accept keys; the '!' of a locked account does not.
    useradd --create-home --shell /bin/sh --password '*' "$1"
    echo "$1" >> "$LAB/users"
}

# pool NAME SIZE tmpfs|disk ARGS...: a fresh pool on one sparse file.
pool() {
    name=$1 size=$2 where=$3
    shift 3
    case $where in
    tmpfs) file=$LAB/pools/$name ;;
    disk) file=$DISK/$name ;;
    *) die "no such place for a pool: $where" ;;
    esac
    rm -f "$file"
    truncate -s "$size" "$file"
    zpool create -f -o cachefile=none "$@" "$name" "$file"
}

# drop_pools NAME...: destroyed whatever holds them; a pool that cannot be is an error.
drop_pools() {
    for name in "$@"; do
        zpool destroy -f "$name" 2> /dev/null || drop_busy "$name"
        rm -f "$LAB/pools/$name" "$DISK/$name"
    done
}

drop_busy() {
    zpool list "$1" > /dev/null 2>&1 || return 0
    for try in 1 2 3 4 5; do
        pkill -KILL -x 'zfs|zpool' || true
        set -- "$1" -false
        while read -r device where type rest; do
            case $type:$device in
            "zfs:$1" | "zfs:$1"/*)
                where=$(printf '%b' "$where")
                set -- "$@" -o -lname "$where" -o -lname "$where/*"
                ;;
            esac
        done < /proc/mounts
        pool=$1
        shift
        for used in $(find /proc/[0-9]*/cwd /proc/[0-9]*/root /proc/[0-9]*/fd -type l '(' "$@" ')' 2> /dev/null); do
            used=${used#/proc/}
            kill -KILL "${used%%/*}" 2> /dev/null || true
        done
        zpool clear "$pool" > /dev/null 2>&1 || true
        zpool destroy -f "$pool" && return 0
        sleep 1
        set -- "$pool"
    done
    return 1
}

# tidy NAME...: no pools, no users, only the kept hosts; of these the named ones as they were kept.
# Processes cost much in an emulated guest, so what nobody has touched is left alone.
tidy() {
    # What a test left running on a host would hold datasets busy, or meet the next test's pools.
    pkill -KILL -f '^sshd: .*(@notty|@pts|\[(priv|net|preauth|accepted)\])' || true
    for here in "$LAB"/hosts/*; do
        [ -f "$here/kept" ] || remove_host "${here##*/}"
    done
    for name in "$@"; do
        here=$LAB/hosts/$name
        sshd_down "$name"
        netem_off "$name"
        ip link set "v-$name" up
        cp "$here/sshd_config.kept" "$here/sshd_config"
        cp "$here/client.conf.kept" "$here/client.conf"
        : > "$here/sshd.log"
        trust "$name"
        sshd_up "$name"
    done
    cat "$LAB"/hosts/*/known > "$CLIENT/known_hosts"
    drop_pools $(zpool list -H -o name)
    if [ -f "$LAB/users" ]; then
        while read -r name; do
            pkill -KILL -u "$name" || true
            userdel --remove "$name" 2> /dev/null || true
        done < "$LAB/users"
        rm -f "$LAB/users" /etc/sudoers.d/lab-*
    fi
}

tidy_all() {
    kept=
    for here in "$LAB"/hosts/*; do
        [ ! -f "$here/kept" ] || kept="$kept ${here##*/}"
    done
    tidy $kept
}

# keep NAME: tidy leaves this host in place, as it is now.
keep() {
    cp "$LAB/hosts/$1/sshd_config" "$LAB/hosts/$1/sshd_config.kept"
    cp "$LAB/hosts/$1/client.conf" "$LAB/hosts/$1/client.conf.kept"
    touch "$LAB/hosts/$1/kept"
}

"$@"
