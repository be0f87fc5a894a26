# SPDX-License-Identifier: GPL-3.0-or-later
"""The long texts of ``--help``."""

from __future__ import annotations

DESCRIPTION = """\
Take a recursive snapshot of a tree of ZFS datasets, push it to another host over SSH, and expire old
snapshots on both sides. Meant to run once a day; safe to run as often as you like.
"""

ABOUT = {
    "forget": "release what is kept for a destination that is gone",
    "verify": "compare the tree with its copies, and tell what differs",
    "doctor": "look at both ends, and say what is wrong and what mends it",
    "status": "how the tree and its copies stand, as a table",
    "report": "a page that shows how the tree and its copies stand, with charts",
    "check": "one line for a monitoring system: are backups late?",
    "monitor": "the same as check",
    "metrics": "how the tree and its copies stand, for Prometheus",
    "notify": "tell whoever wants to know what is wrong, once",
    "quarantine": "rename a snapshot that is dated in the future",
    "receiver": "expire what the clients' archives on this machine give up",
    "setup": "make what a backup to a receiver that trusts nobody needs",
    "restore": "bring a dataset or a file back, as it was on a date",
    "drill": "restore the copy for a try, and compare it with the source",
    "config": "check the configuration file, or tell what it says of a dataset",
    "run": "do what is due by the configuration file",
    "retention": "show what a retention would keep, over years or of what exists now",
}
"""What each command word is for."""

SETUP = {
    "receiver": "let a client push to this machine, and do nothing else here",
    "sender": "make the key and the way to a receiver, and try it",
}
"""What each side of setup is for."""

COMMANDS = f"""\
commands beside the plain run (each has its own --help):
  cyber-zfs-backup forget DESTINATION     {ABOUT["forget"]}
  cyber-zfs-backup verify                 {ABOUT["verify"]}
  cyber-zfs-backup doctor                 {ABOUT["doctor"]}
  cyber-zfs-backup status                 {ABOUT["status"]}
  cyber-zfs-backup report --output DIR    {ABOUT["report"]}
  cyber-zfs-backup check                  {ABOUT["check"]}
  cyber-zfs-backup metrics                {ABOUT["metrics"]}
  cyber-zfs-backup notify                 {ABOUT["notify"]}
  cyber-zfs-backup quarantine SNAPSHOT    {ABOUT["quarantine"]}
  cyber-zfs-backup receiver expire        {ABOUT["receiver"]}
  cyber-zfs-backup setup SIDE             {ABOUT["setup"]}
  cyber-zfs-backup restore WHAT           {ABOUT["restore"]}
  cyber-zfs-backup drill                  {ABOUT["drill"]}
  cyber-zfs-backup config WHAT            {ABOUT["config"]}
  cyber-zfs-backup run                    {ABOUT["run"]}
  cyber-zfs-backup retention WHAT         {ABOUT["retention"]}
"""

EXAMPLES = """\
examples:
  cyber-zfs-backup
      snapshot, push and expire HOSTNAME/HOSTNAME; the copy is offsite:offsite/HOSTNAME
  cyber-zfs-backup --dry-run -v
      show what that would do and why, and touch nothing
  cyber-zfs-backup --action snapshot expire
      no push, no network
  cyber-zfs-backup --dataset tank/data --ssh-destination backup@nas --zfs-receive-dataset pool/data \\
      --use-sudo --force-non-incremental
      the first push of another tree to a receiver that has nothing of it yet
  cyber-zfs-backup --ssh-destination nas --zfs-receive-dataset pool/zippy \\
      --ssh-destination offsite --zfs-receive-dataset offsite/zippy
      two receivers, each with its own result
  cyber-zfs-backup --ssh-destination '' --zfs-receive-dataset usb/zippy
      to another pool of this machine, without ssh
  cyber-zfs-backup --source-ssh-destination zippy --dataset zippy/zippy \\
      --ssh-destination '' --zfs-receive-dataset vault/zippy
      a pull: the tree is on the host zippy, the copy on this machine
  cyber-zfs-backup --exclude 'var/tmp' --exclude 'scratch*'
      leave out HOSTNAME/HOSTNAME/var/tmp and all that begins with HOSTNAME/HOSTNAME/scratch
"""

EXIT_CODES = """\
exit codes:
  0    done, or nothing to do
  1    an action failed (the others were done all the same)
  2    usage or configuration error; nothing was changed
  3    done in part: some datasets could not be done
  4    another run pushes to the same destination; snapshot and expire were done
  65   needs a person: no common snapshot, or the two sides have diverged
  75   passing trouble of the network; try again
  130  interrupted (SIGINT)
  143  ended (SIGTERM or SIGHUP)
"""

JSON = """\
json:
  --json prints one document on stdout: {"schema": 1, "version", "dataset", "destination",
  "destinations": [{"label", "exit_code"}], "started", "seconds", "dry_run", "exit_code", "error",
  "actions": [{"action", "destination", "outcome", "summary", "lines", "answer",
  "problems": [{"what", "where", "remedy", "kind"}], "figures": {...}}]}. "started" is in UTC. "outcome" is
  one of done, nothing, partial, conflict, passing, locked, failed, skipped, and of a check-up (doctor,
  check: exits 0, 1, 2, 3) warnings, critical, unknown; its actions have "findings": [{"severity", "kind",
  "where", "what", "remedy"}]. That of a simulation has "timeline": {"begin", "end", "rows": [{"label",
  "times"}]}. "error" is null, or {"kind", "message"} where the run broke off. "figures" holds counts, bytes
  and seconds by name. Names may be added later; "schema" grows when one changes its meaning. Arguments that
  cannot be read print none.
"""

EPILOG = "\n".join((COMMANDS, EXAMPLES, EXIT_CODES, JSON))

FORGET = """\
Release the holds and remove the property that keep snapshots for a destination that is gone for good.
They are shown first; with --dry-run nothing more is done. Afterwards those snapshots may expire, and a
push to that destination may find nothing in common with it. Nothing is asked of the destination itself.
"""

VERIFY = """\
Read both sides whole and tell, dataset by dataset, what differs: snapshots that are missing or extra,
snapshots of one name that are two, partial receives, copies that were written to, datasets that only the
receiver has. Changes nothing. Exit 0 only where both are equal (but for foreign snapshots of the receiver);
3 where they differ, 65 where no push will mend it.
"""

DECLARED = """\
Where /etc/cyber-zfs-backup/config.toml declares datasets it tells of all of them, unless an option says
anything of one tree (--dataset and its like)."""

DOCTOR = f"""\
Look at both ends and at the way between them, and say, a line for each thing that is wrong, what it is and
the command that mends it: versions and features of ZFS, health, room and growth of the pools, clocks,
permissions, mount points of the copy, encryption and keys, partial receives, holds and bookmarks that nobody
needs any more, snapshots in the future, timers, ssh's configuration, keys and known hosts. What could not be
asked is told as well. With -v also what is as it should be. Changes nothing; how much of each pool is used is
noted in /var/lib/cyber-zfs-backup/pools.jsonl, for its growth. Exit 0 where all is well, 1 with warnings, 2
where a backup would fail.

{DECLARED}
"""

STATUS = f"""\
Show a table, a row for each destination: the newest snapshot of the tree and its age, the newest one there
and by how much that is behind, what is kept here for a destination that is behind, the last run and the next
one, and the last error. Destinations that are named are asked; of the others on record, and of all with
--offline, the source's own records tell. Times are UTC. Changes nothing.

{DECLARED}
"""

REPORT = f"""\
Write one HTML page, DIR/index.html, for a browser: at its top whether all is well or what is wrong, the worst
first; then each tree and destination, what was pushed by days and weeks, by how much a copy is behind, the
last drill, and for each dataset which snapshots are kept here and since when a destination has them. The page
fetches nothing and has no script: it can be mailed, or served from any folder. Times are UTC.

What destinations have is told by the source's own records. What the doctor finds out about the tree, its
pool and this machine is in it; with --doctor it asks the receivers, too, as 'doctor' does, which is the only
thing here that touches a network. Changes nothing but that file, which is replaced whole. Exit 0 where it was
written, whatever it says; 1 where it could not be, 3 where a tree could not be read and the page says so.

{DECLARED}

cyber-zfs-backup-report.timer writes it to /var/cache/cyber-zfs-backup/report once a day, when enabled:

  systemctl enable --now cyber-zfs-backup-report.timer
"""

CHECK = f"""\
Print one line, with figures, for a monitoring system (Nagios, Icinga, checkmk and their like): whether the
tree's snapshots are taken, whether they have arrived at each destination, and whether old ones expire. It
asks this machine alone: what has arrived is on the source's own record. With --receiver it runs on the
receiver, needs no sender, and so also tells of one whose service never started.

Exit 0 where all is well, 1 where something is late, 2 where it is very late or nothing is there, 3 where that
could not be told.

{DECLARED} What is late says the file.
"""

METRICS = f"""\
Print metrics of the tree and of its copies in Prometheus's text format: when the newest snapshot was taken,
and the newest that each destination has, how the last run went, what is kept for a destination that is
behind, and from which ages on it is late. Times are seconds since 1970. It asks the source alone: what has
arrived is on its own record. What is not known is left out.

For node_exporter's textfile collector, let each run write them with --metrics; or write them at any time with
--output, which replaces the file at once, so that nobody reads a part of it. Rules for alerts and a dashboard
for Grafana are among the examples.

Exit 0 where all is told, 1 where a tree could not be read (its metrics tell that, too) or the file could
not be written.

{DECLARED}
"""

METRICS_EXAMPLES = """\
examples:
  cyber-zfs-backup metrics
      print them
  cyber-zfs-backup metrics --output /var/lib/prometheus/node-exporter/cyber-zfs-backup.prom
      write them where Debian's node_exporter reads them
"""

QUARANTINE = """\
Rename snapshots that are dated in the future, so that they no longer count as ours: expire refuses to
work while one stands. Both the source and the receiver are renamed; the data stays.
"""

RECEIVER = """\
On a receiver whose clients come through cyber-zfs-receive: expire what their archives give up, by the
retention and the floors of each client's policy in /etc/cyber-zfs-backup/clients. What counts is when this
machine first saw a snapshot, not the name that its client gave to it. Runs as root, from
cyber-zfs-backup-receiver.timer; a client that was set up as a mirror expires by itself, within its policy.
"""

SETUP_ABOUT = f"""\
Set up the two sides of a backup whose receiver trusts nobody: whoever takes over the sender can add to its
own backups there, and do nothing else. Each side has a --help of its own.

  cyber-zfs-backup setup sender DESTINATION --hostname HOST
      {SETUP["sender"]}
  cyber-zfs-backup setup receiver --client NAME --root POOL/NAME KEYFILE
      {SETUP["receiver"]}
"""

SETUP_RECEIVER = """\
Let a client push its copies below a dataset of this machine, through a gatekeeper, and do nothing else
here. It makes the dataset (never mounted), a system user without a password, its ZFS permissions, its
policy and the line in its authorized_keys, and enables the timer that expires what archives keep no longer.
A dataset that is there is adopted with its data. What is so already is left alone, so that it may be run
again: another key replaces the former one, other options change the policy in those alone.

With --print the commands are printed and none is run. --undo takes back what was made; it destroys no
dataset and no snapshot.
"""

SETUP_SENDER = """\
Make this machine's key where there is none, fetch the receiver's host key and show its fingerprint to be
confirmed, and write both and a Host entry into the ssh configuration, of which all else stays as it is.
Then print the public key and the command that lets it in on the receiver, and try the way with a question
that changes nothing. On a terminal it asks about the fingerprint; elsewhere --fingerprint gives it.

With --print the commands are printed and none is run. --undo takes back what was written.
"""

RESTORE = """\
Bring a dataset of the tree back from a copy, as it was on a date, as a new dataset of this machine. What
exists is never overwritten, nothing is mounted; the last lines say how to go on. A restore that was cut off
goes on where it ended when the same command is given again.

Of several destinations the one counts whose snapshot is nearest to the date. 'restore file' looks into the
snapshots of this machine first; it copies nothing.
"""

RESTORE_EXAMPLES = """\
examples:
  cyber-zfs-backup restore list zippy/zippy/home
      what can be had of it, by date
  cyber-zfs-backup restore 'zippy/zippy/home@2026-11-22 14:30' --to zippy/restored
      as it was then, with all below it, beside the present one
  cyber-zfs-backup restore zippy/zippy --to zippy/zippy
      the whole tree, in the place of the one that was lost
  cyber-zfs-backup restore file /home/me/letter --at yesterday
      where that file, as it was, can be had
"""

DRILL = """\
Restore each dataset of the copy (or a sample) into a scratch dataset of this machine, one after the other,
read it, and compare it with the source's snapshot: how many files, their names, sizes, times and modes, the
bytes of some of them; of a volume some of its blocks. The scratch is destroyed again, whatever happens. Needs
root, since it mounts.

Encrypted datasets are read where their key lies in a file; else only the GUID is compared, and that is said.
Each drill adds a line to /var/lib/cyber-zfs-backup/drills.jsonl. Exit 0 only where nothing was found wrong.
"""

CONFIG = """\
The configuration file declares what is backed up: datasets, destinations, retentions, schedules. The command
line needs none. Nothing is changed by this command, and no other machine is asked.

'config check' says all that is wrong in the file at once, each with its line and what to write instead: exit
0 where nothing is, 2 otherwise. Calendar expressions are checked where systemd-analyze is installed.

'config show' prints what counts for a dataset, be it named in the file or not, and where each setting comes
from: the nearest [[dataset]] at or above it, [defaults], or what is built in. Without a dataset it does so
for each [[dataset]] of the file, for the destinations, the notification and the monitoring.
"""

CONFIG_EXAMPLES = """\
examples:
  cyber-zfs-backup config check
      whether /etc/cyber-zfs-backup/config.toml can be used
  cyber-zfs-backup config check --config draft.toml
      whether another file can
  cyber-zfs-backup config show tank/home/me
      what counts for that dataset
"""

RUN = """\
Do what is due now, for every [[dataset]] of the configuration file: snapshots by their schedules, pushes
after each snapshot or by schedules of their own, and the expiry of what is old after each snapshot.

What is due follows from the newest snapshot and from what has arrived, so a night that was missed is made up,
and two runs at once do no harm. A timer every few minutes is enough: where nothing is due, one zfs list is
all that it costs. A push that failed is tried again after ten minutes, then after twice as long each time, up
to an hour; where a person is needed, once an hour. While a push is under way, what becomes due is done beside
it.

A dataset is left alone while it is paused in the file, or its conditions put it off: on battery, under load,
or by a command of yours that ends with 1 to 254 (as systemd's ExecCondition=). Exit 0 where nothing is due.

cyber-zfs-backup-run.timer does it every five minutes, when enabled:

  systemctl enable --now cyber-zfs-backup-run.timer
"""

RUN_EXAMPLES = """\
examples:
  cyber-zfs-backup run
      what is due now by /etc/cyber-zfs-backup/config.toml
  cyber-zfs-backup run --dry-run
      tell what would be done
  cyber-zfs-backup run --now tank/home
      snapshot, push and expire that one, due or not
"""

RETENTION = """\
Show what a retention keeps, before anything is destroyed by it. Changes nothing but the --output file.

'retention simulate' takes snapshots of nothing for years, applies the retention after each, and draws which
of them exist on a day: a row for each kind that keeps any (one snapshot may be in several), with its number.
-v lists each snapshot with its reasons.

'retention explain' reads the tree and says, for each snapshot, whether an expire with the same options would
keep or destroy it now, and why: also what is held, has clones, or is needed by a destination.

Whatever any of the options keeps is kept. Without any it is 31 dailies, 12 weeklies, 36 monthlies, and one a
year for ever.
"""

RETENTION_EXAMPLES = """\
examples:
  cyber-zfs-backup retention simulate --from 2026-01-01 --years 3 --snapshots-per-day 4
      what the default keeps after three years
  cyber-zfs-backup retention simulate --snapshots-per-day 24 --retention-policy 0 0 0 --yearlies 0 \\
      --window 7d/1h --window '3 months/1d' --window forever/1month --output windows.svg
      windows alone, drawn into a file too
  cyber-zfs-backup retention explain zippy/zippy/home --no-recursive
      what becomes of each snapshot of that dataset
"""

NOTIFY = """\
Look for what is wrong (runs and services that have failed, backups that are late) and tell it on the
channels of [notification] in the configuration file: the next login, mail, a command, a webhook. One
message when something breaks, a reminder a day (repeat) while it lasts, one when it is well again
("recovery" in on), and nothing otherwise: it may run as often as anybody likes.
cyber-zfs-backup-notify.timer runs it each hour, and a service that fails runs it at once.

Without a configuration file only the next login tells. Late is what a dataset of the file calls so; of the
tree of the plain timer, where that is on and the file does not name it, where two of its runs are missing.
With --receiver it tells on the receiver what does not arrive any more; that needs no sender, so it also comes
where the sender never started.

What was told is on record in /var/lib/cyber-zfs-backup/told.json, for each channel: what could not be
delivered comes with the next run. Exit 0 where all was delivered, whatever is wrong; 1 where something
was not.
"""

NOTIFY_EXAMPLES = """\
examples:
  cyber-zfs-backup notify --test
      a test message on every channel, and how each went
  cyber-zfs-backup notify --dry-run
      what would be told now
  cyber-zfs-backup notify --receiver offsite/zippy --max-age 36h
      on the receiver, in a timer: tell where nothing has arrived for that long
"""
