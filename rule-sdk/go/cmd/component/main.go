// Command component makes a component of a package of rules, or of a core module that was built of one.
//
//	go run streamalert/sdk/cmd/component [-o OUT.wasm] [-tinygo] [PACKAGE | CORE.wasm]
//
// PACKAGE is the current folder if it is left out; OUT.wasm has the name of the package's folder.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"streamalert/sdk/internal/envelope"
)

func main() {
	out := flag.String("o", "", "the component that is made")
	tinygo := flag.Bool("tinygo", false, "build with TinyGo instead of Go")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "component [-o OUT.wasm] [-tinygo] [PACKAGE | CORE.wasm]")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() > 1 {
		flag.Usage()
		os.Exit(2)
	}
	source := flag.Arg(0)
	if source == "" {
		source = "."
	}
	if err := run(source, *out, *tinygo); err != nil {
		fmt.Fprintln(os.Stderr, "component:", err)
		os.Exit(1)
	}
}

func run(source, out string, tinygo bool) error {
	core := source
	if !strings.HasSuffix(source, ".wasm") {
		folder, err := os.MkdirTemp("", "component")
		if err != nil {
			return err
		}
		defer os.RemoveAll(folder)
		core = filepath.Join(folder, "core.wasm")
		if err := build(source, core, tinygo); err != nil {
			return err
		}
		if out == "" {
			place, err := filepath.Abs(source)
			if err != nil {
				return err
			}
			out = filepath.Base(place) + ".wasm"
		}
	}
	if out == "" {
		return fmt.Errorf("say with -o where the component of %s should go", core)
	}
	module, err := os.ReadFile(core)
	if err != nil {
		return err
	}
	component, err := envelope.Wrap(module)
	if err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	return os.WriteFile(out, component, 0o644)
}

// Paths of this machine are left out; names of functions stay, so that a fault can be told with its place.
func build(source, core string, tinygo bool) error {
	command := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-w -buildid=", "-o", core, source)
	command.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if tinygo {
		command = exec.Command("tinygo", "build", "-target=wasm-unknown", "-gc=precise", "-stack-size=64KB", "-no-debug",
			"-o", core, source)
	}
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(command.Args[:2], " "), err)
	}
	return nil
}
