# The cluster's one node: its secrets, its configuration, its processes. Sourced by up.
# Whatever can be under $STATE is, rather than at a path of the machine's.

NODE=node-1
SECRETS=$STATE/secrets
SOCKET=$STATE/containerd/containerd.sock
PROGRAMS=("$ETCD/etcd" "$CONTAINERD/containerd" "$K8S"/{kube-apiserver,kube-controller-manager,kube-scheduler,kubelet})

ctr() { "$CONTAINERD/ctr" --address "$SOCKET" --namespace k8s.io "$@"; }
kubectl() { "$K8S/kubectl" --kubeconfig="$STATE/kubeconfig" --cache-dir="$STATE/kubectl-cache" "$@"; }

# --- Secrets ---------------------------------------------------------------------------------------------------------

# A CA and what it signs: etcd and the kubelet let in only who shows one of its certificates. Users show a token.
write_secrets() ( # a shell of its own, for the umask
  [ ! -f "$STATE/kubeconfig" ] || exit 0
  umask 0077
  mkdir -p "$SECRETS"
  new_key ca
  openssl req -x509 -new -key "$SECRETS/ca.key" -subj /CN=sandbox-kernel-cluster -days 3650 -out "$SECRETS/ca.crt"
  new_key service-accounts
  openssl pkey -in "$SECRETS/service-accounts.key" -pubout -out "$SECRETS/service-accounts.pub"
  new_certificate apiserver /CN=apiserver "IP:127.0.0.1,DNS:localhost"
  new_certificate apiserver-client /CN=apiserver DNS:apiserver
  new_certificate etcd /CN=etcd IP:127.0.0.1
  new_certificate kubelet "/CN=$NODE" "IP:$NODE_IP"
  : > "$SECRETS/tokens.csv"
  new_user system:kube-controller-manager '' "$SECRETS/controller-manager.kubeconfig"
  new_user system:kube-scheduler '' "$SECRETS/scheduler.kubeconfig"
  new_user "system:node:$NODE" system:nodes "$SECRETS/kubelet.kubeconfig"
  new_user admin system:masters "$STATE/kubeconfig"
)

new_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$SECRETS/$1.key"; }

# new_certificate NAME SUBJECT ALTERNATIVE_NAMES
new_certificate() {
  new_key "$1"
  openssl req -new -key "$SECRETS/$1.key" -subj "$2" -out "$SECRETS/$1.csr"
  openssl x509 -req -in "$SECRETS/$1.csr" -CA "$SECRETS/ca.crt" -CAkey "$SECRETS/ca.key" -CAcreateserial -days 3650 \
    -extfile <(echo "subjectAltName=$3") -out "$SECRETS/$1.crt"
}

# new_user NAME GROUP KUBECONFIG
new_user() {
  local token
  token=$(openssl rand -hex 24)
  echo "$token,$1,$1${2:+,$2}" >> "$SECRETS/tokens.csv"
  cat > "$3.new" <<YAML
apiVersion: v1
kind: Config
current-context: sandbox-kernel
contexts: [{name: sandbox-kernel, context: {cluster: sandbox-kernel, user: "$1"}}]
users: [{name: "$1", user: {token: $token}}]
clusters:
  - name: sandbox-kernel
    cluster: {server: "https://127.0.0.1:$PORT", certificate-authority-data: $(base64 --wrap=0 "$SECRETS/ca.crt")}
YAML
  mv "$3.new" "$3"
}

# --- Configuration ---------------------------------------------------------------------------------------------------

write_configuration() {
  write_containerd
  write_runsc gvisor sandbox
  write_runsc gvisor-no-network none
  write_cni
  write_kubelet
}

# Pod annotations are not passed on to the runtime: those of gVisor (dev.gvisor.*) can weaken a sandbox.
write_containerd() {
  cat > "$STATE/containerd.toml" <<TOML
version = 3
root = "$STATE/containerd/root"
state = "$STATE/containerd/state"
[grpc]
  address = "$SOCKET"
[plugins.'io.containerd.internal.v1.opt']
  path = "$STATE/containerd/opt"
[plugins.'io.containerd.nri.v1.nri']
  disable = true
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = 'registry.k8s.io/pause:3.10'
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true # root may lack CAP_SYS_RESOURCE
  netns_mounts_under_state_dir = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["$CNI"]
  conf_dir = "$STATE/cni"
  use_internal_loopback = true
[plugins.'io.containerd.cri.v1.runtime'.containerd]
  default_runtime_name = 'runc'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'
  options.Root = "$STATE/runc"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.gvisor]
  runtime_type = 'io.containerd.runsc.v1'
  options.ConfigPath = "$STATE/gvisor.toml"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.gvisor-no-network]
  runtime_type = 'io.containerd.runsc.v1'
  options.ConfigPath = "$STATE/gvisor-no-network.toml"
TOML
}

# write_runsc HANDLER NETWORK: what the shim gives runsc.
write_runsc() {
  cat > "$STATE/$1.toml" <<TOML
binary_name = "$GVISOR/runsc"
root = "$STATE/runsc"
[runsc_config]
  network = "$2"
TOML
}

# Pods reach each other and the node. They have no route beyond, so nothing is forwarded, and going there fails at once.
write_cni() {
  cat > "$STATE/cni/10-pods.conflist" <<JSON
{"cniVersion": "1.0.0", "name": "sandbox-kernel", "plugins": [{"type": "bridge", "bridge": "$BRIDGE", "ipam": {
  "type": "host-local", "dataDir": "$STATE/cni/networks",
  "ranges": [[{"subnet": "$POD_NET", "gateway": "$NODE_IP"}]]}}]}
JSON
}

# No pod is evicted and no image removed for want of disk before the disk is full: this machine's disk is not ours alone.
# Names are asked at the node itself, where nothing answers, so that looking one up fails at once.
write_kubelet() {
  cat > "$STATE/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $NODE_IP
healthzPort: 0
authentication: {anonymous: {enabled: false}, webhook: {enabled: false}, x509: {clientCAFile: "$SECRETS/ca.crt"}}
authorization: {mode: AlwaysAllow}
tlsCertFile: "$SECRETS/kubelet.crt"
tlsPrivateKeyFile: "$SECRETS/kubelet.key"
containerRuntimeEndpoint: "unix://$SOCKET"
podLogsDir: "$STATE/log/pods"
volumePluginDir: "$STATE/kubelet/plugins"
clusterDNS: [$NODE_IP]
clusterDomain: cluster.local
maxPods: 110
cgroupDriver: cgroupfs
cgroupRoot: "/$CGROUP"
failCgroupV1: false
failSwapOn: false
makeIPTablesUtilChains: false
serializeImagePulls: false
imageGCHighThresholdPercent: 100
evictionHard:
  {memory.available: 100Mi, nodefs.available: 1%, nodefs.inodesFree: 1%, imagefs.available: 1%, imagefs.inodesFree: 1%}
YAML
}

# --- Processes -------------------------------------------------------------------------------------------------------

# start PROGRAM ARGUMENT...: unless it runs. It gets nothing of this shell's environment, and not its lock (9).
start() {
  local program=$1
  [ -z "$(processes "$program")" ] || return 0
  env -i PATH="$CONTAINERD:$GVISOR:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" HOME=/root \
    setsid nohup "$@" >> "$STATE/log/$(basename "$program").log" 2>&1 < /dev/null 9>&- &
}

start_etcd() {
  start "$ETCD/etcd" --data-dir="$STATE/etcd" --unsafe-no-fsync --log-level=warn \
    --listen-client-urls="https://127.0.0.1:$((PORT + 1))" --advertise-client-urls="https://127.0.0.1:$((PORT + 1))" \
    --listen-peer-urls="http://127.0.0.1:$((PORT + 2))" \
    --cert-file="$SECRETS/etcd.crt" --key-file="$SECRETS/etcd.key" --client-cert-auth --trusted-ca-file="$SECRETS/ca.crt"
}

start_containerd() {
  start "$CONTAINERD/containerd" --config="$STATE/containerd.toml" --log-level=warn
}

start_apiserver() {
  start "$K8S/kube-apiserver" --bind-address=127.0.0.1 --secure-port="$PORT" --advertise-address="$NODE_IP" \
    --tls-cert-file="$SECRETS/apiserver.crt" --tls-private-key-file="$SECRETS/apiserver.key" \
    --etcd-servers="https://127.0.0.1:$((PORT + 1))" --etcd-cafile="$SECRETS/ca.crt" \
    --etcd-certfile="$SECRETS/apiserver-client.crt" --etcd-keyfile="$SECRETS/apiserver-client.key" \
    --kubelet-certificate-authority="$SECRETS/ca.crt" --kubelet-preferred-address-types=InternalIP \
    --kubelet-client-certificate="$SECRETS/apiserver-client.crt" --kubelet-client-key="$SECRETS/apiserver-client.key" \
    --token-auth-file="$SECRETS/tokens.csv" --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
    --service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$SECRETS/service-accounts.pub" \
    --service-account-signing-key-file="$SECRETS/service-accounts.key" \
    --service-cluster-ip-range="$SERVICE_NET" --endpoint-reconciler-type=none --allow-privileged=true \
    --audit-policy-file="$HERE/manifests/audit.yaml" --audit-log-path="$STATE/log/audit.log" \
    --audit-log-maxsize=200 --audit-log-maxbackup=1
}

start_controllers() {
  start "$K8S/kube-controller-manager" --kubeconfig="$SECRETS/controller-manager.kubeconfig" \
    --leader-elect=false --secure-port=0 --flex-volume-plugin-dir="$STATE/kubelet/plugins" --use-service-account-credentials \
    --service-account-private-key-file="$SECRETS/service-accounts.key" --root-ca-file="$SECRETS/ca.crt"
  start "$K8S/kube-scheduler" --kubeconfig="$SECRETS/scheduler.kubeconfig" --leader-elect=false --secure-port=0
}

start_kubelet() {
  start "$K8S/kubelet" --config="$STATE/kubelet.yaml" --kubeconfig="$SECRETS/kubelet.kubeconfig" --root-dir="$STATE/kubelet" \
    --hostname-override="$NODE" --node-ip="$NODE_IP"
}

# Pods' cgroups lie under one of ours, in each hierarchy of v1 or in the one of v2, which must pass its controllers on.
create_cgroups() {
  local hierarchy controllers
  for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*; do
    case $(stat --file-system --format=%T "$hierarchy") in
      cgroupfs) ;;
      cgroup2fs)
        [ "$hierarchy" = /sys/fs/cgroup ] || continue
        read -r controllers < "$hierarchy/cgroup.controllers"
        echo "+${controllers// / +}" > "$hierarchy/cgroup.subtree_control" ;;
      *) continue ;;
    esac
    mkdir -p "$hierarchy/$CGROUP"
  done
}

# The kubelet sets these to its own liking; down puts them back.
keep_tunables() {
  [ -s "$STATE/tunables" ] || sysctl vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops \
    kernel.keys.root_maxkeys kernel.keys.root_maxbytes > "$STATE/tunables"
}

# A fixed address of its own keeps the bridge from taking that of whichever pod came last.
create_bridge() {
  ip link show "$BRIDGE" > /dev/null 2>&1 || ip link add "$BRIDGE" address 02:00:0a:f4:00:01 type bridge
  ip address replace "$NODE_IP/${POD_NET#*/}" dev "$BRIDGE"
  ip link set "$BRIDGE" up
}

# The archive goes from its maker straight into containerd; --local takes half the time.
import_images() {
  [ ! -f "$STATE/images" ] || return 0
  /usr/bin/python3 "$HERE/images/archive.py" \
    registry.k8s.io/pause:3.10 /pause "$PAUSE/layer.tar" \
    docker.io/library/python:3.11-slim python3 "$PYTHON/layer.tar" \
    docker.io/library/sandbox-notebook:latest python3 "$PYTHON/layer.tar,$NOTEBOOK/layer.tar" |
    ctr images import --local - > "$STATE/log/images.log" 2>&1
  touch "$STATE/images"
}

node_is_ready() {
  [ "$(kubectl get node "$NODE" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')" = True ]
}

all_run() {
  local program
  for program in "${PROGRAMS[@]}"; do [ -n "$(processes "$program")" ] || return 1; done
}
