# What the scripts beside this file share: where everything is, and how a part is made once.
# Sourced after `set -euo pipefail`.
# shellcheck disable=SC2034 # used where it is sourced

export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CACHE=$(realpath -m "${XDG_CACHE_HOME:-$HOME/.cache}/sandbox-kernel/cluster")
STATE=$(realpath -m "${SANDBOX_KERNEL_CLUSTER:-$CACHE/state}")
RUNNING=$CACHE/running # names the state folder of the cluster that is up or was left by half
PORT=${SANDBOX_KERNEL_CLUSTER_PORT:-6443} # the apiserver's; etcd takes the next two

# The node's address lives on the pods' bridge, so nothing here depends on the machine's own network.
BRIDGE=sandbox0 NODE_IP=10.244.0.1 POD_NET=10.244.0.0/16 SERVICE_NET=10.96.0.0/24
CGROUP=sandbox-kernel-cluster

say() { printf '%s\n' "$*" >&2; }
fail() { say "cluster: $*"; exit 1; }

# One up or down at a time; the down inside an up has its lock already.
lock() {
  mkdir -p "$CACHE"
  ! { : >&9; } 2>/dev/null || return 0
  exec 9> "$CACHE/lock"
  flock --nonblock 9 || { say 'waiting for another up or down to end'; flock 9; }
}

# cached NAME FILE...: the folder NAME is kept in. Its name has the hash of what it is made from (files under
# $HERE), so that a changed pin is another folder.
cached() {
  local name=$1; shift
  echo "$CACHE/$name-$( (cd "$HERE" && cat "$@"; uname -m) | sha256sum | cut -c1-12)"
}

K8S=$(cached k8s k8s/go.mod k8s/go.sum build.sh)
ETCD=$(cached etcd etcd/go.mod etcd/go.sum build.sh)
CONTAINERD=$(cached containerd containerd/go.mod containerd/go.sum build.sh)
CNI=$(cached cni cni/go.mod cni/go.sum build.sh)
FILTERS=$(realpath "$HERE/../../sandbox_kernel/runsc_module/filters")
GVISOR=$(cached gvisor gvisor/go.mod gvisor/go.sum gvisor/containerd-shim-runsc-v1/main.go "$FILTERS/main.go" build.sh)
PAUSE=$(cached pause images/pause.c images.sh)
PYTHON=$(cached python images.sh)
NOTEBOOK=$(cached notebook images/requirements.txt images.sh)
PARTS=("$K8S" "$ETCD" "$CONTAINERD" "$CNI" "$GVISOR" "$PAUSE" "$PYTHON" "$NOTEBOOK")

# provide FOLDER COMMAND...: runs COMMAND in an empty folder, which becomes FOLDER only if it succeeds.
provide() {
  local folder=$1 name status started=$SECONDS; shift
  [ ! -d "$folder" ] || return 0
  name=$(basename "${folder%-*}")
  printf '%-12s' "$name" >&2
  clear_folder "$CACHE/$name.unfinished"
  mkdir -p "$CACHE/$name.unfinished"
  set +e # which a command whose failure is looked at would have for all that it calls
  (set -e; cd "$CACHE/$name.unfinished"; "$@") > "$CACHE/$name.log" 2>&1 9>&-
  status=$?
  set -e
  ((status == 0)) || { say "failed; the end of $CACHE/$name.log:"; tail -n 20 "$CACHE/$name.log" >&2; exit 1; }
  mv "$CACHE/$name.unfinished" "$folder"
  say "$((SECONDS - started)) s"
}

# Removes what was made from older pins, once nothing runs from it any more.
remove_old_parts() {
  local part
  for part in "$CACHE"/*-*; do
    [[ ! $part =~ -[0-9a-f]{12}$ || " ${PARTS[*]} " = *" $part "* ]] || rm -rf --one-file-system "$part"
  done
}

# clear_folder FOLDER: unmounts all that lies under it, then removes it.
clear_folder() {
  local target
  awk -v "under=$1/" 'index($5, under) == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r target; do
    umount --lazy "$(printf %b "$target")" # a space is \040 there
  done
  rm -rf --one-file-system "$1"
}

# processes [PROGRAM]: the pids of this cluster's processes, or of those running PROGRAM. A process is ours when it runs
# a program of the cache on behalf of $STATE: no pid files, which outlive their processes and then name others.
processes() {
  local pid
  find /proc -maxdepth 2 -path '/proc/[0-9]*/exe' -lname "${1:-$CACHE/*}" -printf '%h\n' 2>/dev/null | while read -r pid; do
    ! grep -qsF "$STATE/" "$pid/cmdline" || echo "${pid#/proc/}"
  done
}

# wait_for SECONDS WHAT COMMAND...: until COMMAND succeeds.
wait_for() {
  local deadline=$((SECONDS + $1)) what=$2; shift 2
  until "$@" > "$STATE/log/wait" 2>&1; do
    ((SECONDS < deadline)) || { tail -n 3 "$STATE/log/wait" >&2 || true; fail "$what: not in time; see $STATE/log"; }
    sleep 0.1
  done
}
