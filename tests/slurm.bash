# A Slurm cluster of this machine alone, for test scripts: munged, slurmctld and slurmd of its own, in $folder/cluster, on ports of its own.
# shellcheck shell=bash
cluster=${folder:?}/cluster

# Ends the script as skipped where there is no Slurm.
skip_without_slurm() {
  local program
  for program in munged slurmctld slurmd sbatch squeue scontrol; do
    PATH=$PATH:/usr/sbin:/usr/local/sbin command -v $program > /dev/null && continue
    echo "skipped: no $program; apt install slurm-wlm munge"
    exit 77
  done
  [ "$(id -u)" = 0 ] && return
  echo "skipped: slurmd is started by root alone"
  exit 77
}

free_port() {
  local port=$((20000 + RANDOM % 10000))
  while (: > "/dev/tcp/127.0.0.1/$port") 2> /dev/null; do port=$((port + 1)); done
  echo $port
}

# Without control groups, which a container may lack: newer versions know no `cgroup/v1`, older ones no `disabled`.
start_slurmd() {
  local plugin
  for plugin in cgroup/v1 disabled; do
    echo "CgroupPlugin=$plugin" > "$cluster/cgroup.conf"
    slurmd -N "$1" && return
  done
  return 1
}

# begin_cluster: returns whether it runs; end_cluster belongs into the script's trap.
begin_cluster() {
  local name
  PATH=$PATH:/usr/sbin:/usr/local/sbin
  name=$(hostname -s)
  mkdir -p "$cluster/state" "$cluster/spool"
  chmod 755 "$folder" "$cluster"
  export SLURM_CONF=$cluster/slurm.conf
  cat > "$SLURM_CONF" << X
ClusterName=test
SlurmctldHost=$name(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$cluster/munge.socket,cred_expire=5
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=0
ReturnToService=2
KillWait=10
MaxArraySize=4
StateSaveLocation=$cluster/state
SlurmdSpoolDir=$cluster/spool
SlurmctldPidFile=$cluster/slurmctld.pid
SlurmdPidFile=$cluster/slurmd.pid
SlurmctldLogFile=$cluster/slurmctld.log
SlurmdLogFile=$cluster/slurmd.log
NodeName=$name NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes=$name Default=YES MaxTime=INFINITE State=UP
X
  head -c 1024 /dev/urandom > "$cluster/munge.key"
  chmod 600 "$cluster/munge.key"
  munged --force --socket="$cluster/munge.socket" --key-file="$cluster/munge.key" --pid-file="$cluster/munged.pid" \
    --log-file="$cluster/munged.log" --seed-file="$cluster/munge.seed" > "$cluster/out" 2>&1 &&
    slurmctld >> "$cluster/out" 2>&1 && start_slurmd "$name" >> "$cluster/out" 2>&1 &&
    within 20 eval 'sinfo --noheader --format=%T 2> /dev/null | grep -q idle'
}

end_cluster() {
  local name pid
  scancel --me --signal=KILL 2> /dev/null
  for name in slurmd slurmctld munged; do
    pid=$(cat "$cluster/$name.pid" 2> /dev/null) || continue
    kill "$pid" 2> /dev/null
    for _ in $(seq 20); do
      kill -0 "$pid" 2> /dev/null || break
      sleep 0.1
    done
    kill -KILL "$pid" 2> /dev/null
  done
}

# within SECONDS COMMAND...: until it succeeds
within() {
  local until=$((SECONDS + $1))
  shift
  until "$@"; do
    [ $SECONDS -lt $until ] || return 1
    sleep 0.02
  done
}
