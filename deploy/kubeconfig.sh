#!/bin/sh
# Prints a kubeconfig for the account that runs the kernel, made with the rights of the current kubectl context:
#
#   (umask 077; deploy/kubeconfig.sh > sandbox-kernel.kubeconfig)
#   (umask 077; deploy/kubeconfig.sh team-a 24h > team-a.kubeconfig)
#
# The file is a password for as long as its token lives. A cluster may grant less time than is asked for (GKE:
# two days at most); a token that has run out is answered with 401, and a new file is all it takes.
set -eu
namespace=${1:-sandbox-kernel}
duration=${2:-8h}
kubectl=${KUBECTL:-kubectl}

token=$("$kubectl" create token sandbox-kernel --namespace "$namespace" --duration "$duration")
# Address, certificate authority and whatever else it takes to reach the cluster: as in the current context.
cluster=$("$kubectl" config view --raw --minify --flatten -o jsonpath='{.clusters[0].cluster}')

cat <<KUBECONFIG
apiVersion: v1
kind: Config
clusters:
- name: cluster
  cluster: $cluster
users:
- name: sandbox-kernel
  user: {token: $token}
contexts:
- name: $namespace
  context: {cluster: cluster, user: sandbox-kernel, namespace: $namespace}
current-context: $namespace
KUBECONFIG
