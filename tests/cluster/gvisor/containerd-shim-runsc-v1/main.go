// containerd-shim-runsc-v1 for a root without CAP_SYS_RESOURCE.
//
// gVisor's own shim lowers the OOM score of the process it starts (to -999), which such a root may not
// do, and then no pod ever starts. Only Start differs here; everything else is gVisor's.
package main

import (
	"context"
	"os"
	"os/exec"
	"syscall"

	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/shim"
	gvisor "gvisor.dev/gvisor/pkg/shim/v1"
	_ "gvisor.dev/gvisor/pkg/shim/v1/plugin"
)

type manager struct{ shim.Manager }

// Start runs this program once more as the daemon of one container and tells containerd its socket.
func (manager) Start(ctx context.Context, id string, opts shim.StartOpts) (params shim.BootstrapParams, err error) {
	namespace, err := namespaces.NamespaceRequired(ctx)
	if err != nil {
		return params, err
	}
	address, err := shim.SocketAddress(ctx, opts.Address, id, opts.Debug)
	if err != nil {
		return params, err
	}
	socket, err := shim.NewSocket(address)
	if err != nil {
		return params, err
	}
	listener, err := socket.File()
	if err != nil {
		return params, err
	}
	// The daemon removes its socket by what it reads here.
	if err := os.WriteFile("address", []byte(address), 0o644); err != nil {
		return params, err
	}
	self, err := os.Executable()
	if err != nil {
		return params, err
	}
	daemon := exec.Command(self, "-namespace", namespace, "-address", opts.Address, "-id", id)
	daemon.ExtraFiles = []*os.File{listener}
	daemon.Env = append(os.Environ(), "GOMAXPROCS=2") // as gVisor's own does
	daemon.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := daemon.Start(); err != nil {
		return params, err
	}
	go daemon.Wait()
	return shim.BootstrapParams{Version: 2, Address: address, Protocol: "ttrpc"}, nil
}

func main() {
	shim.Run(context.Background(), manager{gvisor.NewShimManager("io.containerd.runsc.v1")})
}
