# The cluster's programs, each from a Go module that its go.mod and go.sum pin. Sourced by up.
# A change here builds all of them again: their cache's key has this file in it.

GVISOR_RELEASE=20260905.0 # the commit that gvisor/go.mod pins

build_programs() {
  [ ! -d "$K8S" ] || [ ! -d "$ETCD" ] || [ ! -d "$CONTAINERD" ] || [ ! -d "$CNI" ] || [ ! -d "$GVISOR" ] || return 0
  find_go
  export CGO_ENABLED=0 GOFLAGS='-mod=readonly -buildvcs=false' GOTOOLCHAIN=local
  provide "$GVISOR" build_gvisor
  provide "$ETCD" build_etcd
  provide "$CONTAINERD" go_build "$HERE/containerd" '' tool
  provide "$CNI" go_build "$HERE/cni" '' tool
  provide "$K8S" build_k8s
}

# go_build MODULE VARIABLES PACKAGES: into the folder it is called in. `tool` means all that go.mod names.
go_build() {
  go build -C "$1" -trimpath -ldflags "-s -w${2:+ $2}" -o "$PWD/" "$3"
}

# As `sandbox-kernel setup` does it, with the filters in compiled form; with its flags too, so that they share Go's build cache.
build_gvisor() {
  mkdir module
  cp -R "$HERE/gvisor/." "$FILTERS" module
  go mod vendor -C module
  local -x GOFLAGS=${GOFLAGS/readonly/vendor}
  go run -C module -trimpath ./filters vendor/gvisor.dev/gvisor
  go_build module "-X gvisor.dev/gvisor/runsc/version.version=release-$GVISOR_RELEASE" tool
  go_build module '' ./containerd-shim-runsc-v1
  rm -r module
}

build_etcd() {
  go_build "$HERE/etcd" '' tool
  mv server etcd
}

# As a module, Kubernetes does not know its own version, and reads v0.0.0 without this.
build_k8s() {
  local version variables=k8s.io/component-base/version
  version=$(go list -C "$HERE/k8s" -m -f '{{.Version}}' k8s.io/kubernetes)
  local major=${version%%.*} minor=${version#*.}
  go_build "$HERE/k8s" "-X $variables.gitVersion=$version -X $variables.gitMajor=${major#v} -X $variables.gitMinor=${minor%%.*}" tool
}
