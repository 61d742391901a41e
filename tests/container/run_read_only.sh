#!/bin/sh
# Run a command as Apptainer does: ROOT is mounted read-only, WORK at /mnt; no network, an unknown user without a home.
# To be called by root in namespaces of its own: unshare --mount --net --pid --fork run_read_only.sh ROOT WORK COMMAND...
set -eu
root=$1 work=$2
shift 2
mount --make-rprivate /
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind "$work" "$root/mnt"
exec chroot --userspec=1234:1234 "$root" /usr/bin/env -i PATH=/opt/lesionflow/.venv/bin:/usr/bin:/bin \
    sh -c 'cd /mnt; exec "$@"' sh "$@"
