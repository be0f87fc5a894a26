# SPDX-License-Identifier: GPL-3.0-or-later
# Sourced by run-demo and run-tests: installs the Debian packages that are missing, and nothing else.
# Usage: for each package `want PACKAGE COMMAND...` (the command succeeds where it is there), or
# `want_demo`, then `install_missing`.

missing=()
name=${0##*/}
PATH=$PATH:/usr/sbin:/sbin

say() { echo "$name: $*" >&2; }
die() {
    say "$*"
    exit 1
}

want() {
    local package=$1
    shift
    "$@" > /dev/null 2>&1 || missing+=("$package")
}

has_program() { command -v "$1"; }
has_module() { /usr/bin/python3 -c "import $1"; }

# What the demo runs on: Debian's own Python, as on a machine that has the tool in use.
want_demo() {
    want python3 test -x /usr/bin/python3
    want python3-paramiko has_module paramiko
    want python3-dateutil has_module dateutil
    want python3-rich has_module rich
    want openssh-client has_program ssh
    want openssh-server has_program sshd
}

# A server that is installed for its program alone must not begin to serve, now or at the next boot.
policy=/usr/sbin/policy-rc.d
guard() {
    [ -e "$policy" ] && return
    printf '#!/bin/sh\n# Made by %s for the time of one installation.\nexit 101\n' "$name" > "$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

unguard() {
    trap - EXIT INT TERM HUP
    ! grep -qs "^# Made by $name" "$policy" || rm -f "$policy"
}

install_missing() {
    [ "${#missing[@]}" -gt 0 ] || return 0
    local wanted="apt-get install --no-install-recommends ${missing[*]}"
    has_program apt-get > /dev/null || die "missing: ${missing[*]} (and there is no apt-get: this is made for Debian 12 and 13)"
    [ "$(id -u)" = 0 ] || die "some packages are missing; as root: $wanted"
    say "installing with apt-get: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    local log server=no
    log=$(mktemp)
    case " ${missing[*]} " in *" openssh-server "*) server=yes ;; esac
    [ "$server" = no ] || guard
    apt-get -q update < /dev/null >> "$log" 2>&1 || say "apt-get update failed; trying with the lists that are there"
    if ! apt-get -q -y install --no-install-recommends "${missing[@]}" < /dev/null >> "$log" 2>&1; then
        tail -n 20 "$log" >&2
        [ "$server" = no ] || unguard
        die "apt-get could not install what is missing; its whole output: $log"
    fi
    if [ "$server" = yes ]; then
        unguard
        # As the package's own scripts would: works where systemd is not running, too.
        DPKG_MAINTSCRIPT_PACKAGE=openssh-server deb-systemd-helper disable ssh.service ssh.socket \
            > /dev/null 2>&1 || true
        update-rc.d ssh disable > /dev/null 2>&1 || true
        say "openssh-server is there for its program alone; its service is neither started nor enabled"
    fi
    rm -f "$log"
    missing=()
}
