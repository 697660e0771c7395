// Filters writes down the system call filters of gVisor's sentry and gofer as they are when compiled.
//
// gVisor's own build has them in its binary. The module that Go can build has an empty list in their place, and a runsc
// built from it compiles the same rules at each start of a sandbox: 18 ms of processor before the first instruction of a
// guest. Both lists are made by gVisor's own function, and a runsc finds in them only what fits its options exactly.
//
// Usage: filters DIR, where DIR is the source of gVisor that runsc is built from next.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"gvisor.dev/gvisor/pkg/seccomp/precompiledseccomp"
	sentry "gvisor.dev/gvisor/runsc/boot/filter/config"
	gofer "gvisor.dev/gvisor/runsc/fsgofer/filter/config"
)

// Devices that no sandbox of ours has. Without their 550 filters the list is a twentieth; with one, runsc compiles its own.
var unused = []string{"NVProxy=true", "TPUProxy=true", "RDMAProxy=true"}

const head = `package filter

import "gvisor.dev/gvisor/pkg/seccomp/precompiledseccomp"

func init() {
	registerPrecompiledProgramsOnce.Do(func() {})
	precompiledPrograms = map[string]precompiledseccomp.Program{}
`

func main() {
	debug.SetGCPercent(400) // A fifth quicker, for some hundred MB more.
	for _, part := range []struct {
		folder   string
		programs func() ([]precompiledseccomp.Program, error)
	}{
		{"runsc/boot/filter", sentry.PrecompiledPrograms},
		{"runsc/fsgofer/filter", gofer.PrecompiledPrograms},
	} {
		programs, err := part.programs()
		if err == nil {
			err = write(filepath.Join(os.Args[1], part.folder, "precompiled_programs.go"), programs)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", part.folder, err)
			os.Exit(1)
		}
	}
}

func write(path string, programs []precompiledseccomp.Program) error {
	var text strings.Builder
	text.WriteString(head)
	for _, program := range programs {
		if used(program.Name) {
			text.WriteString(program.Registration("\t", "precompiledseccomp", "precompiledPrograms"))
		}
	}
	text.WriteString("}\n")
	return os.WriteFile(path, []byte(text.String()), 0o600)
}

func used(name string) bool {
	for _, word := range unused {
		if strings.Contains(name, word) {
			return false
		}
	}
	return true
}
