#!/usr/bin/env bash
# Start a SLURM cluster of one node on this machine for tests; needs root and Debian's slurm-wlm and munge.
set -euo pipefail
host=$(hostname -s)
state=$(mktemp -d /tmp/slurm.XXXX)
mkdir -p /etc/slurm /run/munge
cat >/etc/slurm/slurm.conf <<CONF
ClusterName=test
SlurmctldHost=$host
AuthType=auth/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$state/ctld
SlurmdSpoolDir=$state/d
SlurmctldPidFile=$state/ctld.pid
SlurmdPidFile=$state/d.pid
SlurmctldLogFile=$state/ctld.log
SlurmdLogFile=$state/d.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
SchedulerParameters=sched_interval=2,defer_batch=0
NodeName=$host CPUs=$(nproc) RealMemory=$(($(free -m | awk '/Mem:/{print $2}') - 500)) State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
CONF
mkdir -p "$state/ctld" "$state/d"
[ -f /etc/munge/munge.key ] || { dd if=/dev/urandom bs=1 count=1024 >/etc/munge/munge.key 2>/dev/null; }
chown -R munge: /etc/munge /run/munge /var/lib/munge /var/log/munge
chmod 400 /etc/munge/munge.key
pgrep munged >/dev/null || runuser -u munge -- munged
pgrep slurmctld >/dev/null || slurmctld
pgrep slurmd >/dev/null || slurmd
for _ in $(seq 20); do
  sinfo -h -o %T 2>/dev/null | grep -q idle && break
  sleep 1
done
sinfo
