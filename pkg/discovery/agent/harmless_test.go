package agent

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestNothingCanWriteToADisk reads the agent's source: a call that could write
// a file, start a program or do something to a device stands in a function that
// is known here, and is harmless for the reason given.
func TestNothingCanWriteToADisk(t *testing.T) {
	known := map[string]string{
		"prepare unix.Mount":               "file systems of the kernel, in memory, at fixed places",
		"prepare os.MkdirAll":              "mount points in the ramdisk",
		"consoles os.OpenFile":             "terminals that /proc/consoles names",
		"readOnly os.Open":                 "a disk for reading, to have the kernel refuse writes to it",
		"readOnly unix.IoctlSetPointerInt": "BLKROSET with 1: read-only",
		"reboot unix.Sync":                 "nothing of a disk is in memory to be written",
		"reboot unix.Reboot":               "restart",
		"bmc os.OpenFile":                  "/dev/ipmi0, a character device",
		"ipmi unix.Syscall":                "ioctl of that device",
		"run exec.CommandContext":          "modprobe, udpkg and depmod of the initrd, see runs",
		"inMemory os.WriteFile":            "below /run/rackseed, a file system in memory",
		"fetchDrivers os.MkdirAll":         "/run/rackseed",
	}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	var programs []string
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range parsed.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(fn, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				name := callee(call)
				if name == "exec.LookPath" {
					programs = append(programs, call.Args[0].(*ast.BasicLit).Value)
				}
				if !dangerous(name) {
					return true
				}
				key := fn.Name.Name + " " + name
				if known[key] == "" {
					t.Errorf("%s: %s calls %s, which could write to a disk", f.Name(), fn.Name.Name, name)
				}
				seen[key] = true
				return true
			})
		}
	}
	for key := range known {
		if !seen[key] {
			t.Errorf("nothing is %q any more: take it off the list", key)
		}
	}
	slices.Sort(programs)
	if got := fmt.Sprint(slices.Compact(programs)); got != `["depmod" "modprobe" "udpkg"]` {
		t.Errorf("programs that are started: %s", got)
	}
}

func callee(call *ast.CallExpr) string {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if pkg, ok := sel.X.(*ast.Ident); ok {
		return pkg.Name + "." + sel.Sel.Name
	}
	return ""
}

// dangerous calls are all of os, exec, unix and syscall, but for those that
// only read.
func dangerous(name string) bool {
	pkg, _, _ := strings.Cut(name, ".")
	harmless := []string{
		"os.ReadFile", "os.ReadDir", "os.Stat", "os.Setenv", "exec.LookPath", "unix.Wait4", "unix.Poll", "unix.Getrandom",
		"syscall.NetlinkRIB", "syscall.ParseNetlinkMessage", "syscall.ParseNetlinkRouteAttr", "unsafe.Pointer",
	}
	return slices.Contains([]string{"os", "exec", "unix", "syscall", "ioutil"}, pkg) && !slices.Contains(harmless, name)
}
