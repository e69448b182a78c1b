package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rackseed/rackseed/pkg/sim"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"rackseed": main})
}

// TestScripts run the command line as people and their scripts do. In them,
// `status N COMMAND…` expects an exit status, `medium FILE` writes a small
// installation medium, `bmcs N [FAULT…]` starts simulated BMCs,
// `jobid STATE` puts the newest job's ID into $JOB, and $EXAMPLES is the folder of example plans.
func TestScripts(t *testing.T) {
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("EXAMPLES", examples)
			e.Setenv("XDG_STATE_HOME", filepath.Join(e.WorkDir, "xdg"))
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"status": status,
			"bmcs":   simulateBMCs,
			"jobid":  newestJob,
			"ipmi":   simulateIPMI,
			"medium": func(ts *testscript.TestScript, _ bool, args []string) { ts.Check(sim.WriteMedium(ts.MkAbs(args[0]))) },
			"mode": func(ts *testscript.TestScript, _ bool, args []string) {
				info, err := os.Stat(ts.MkAbs(args[1]))
				ts.Check(err)
				if got := strconv.FormatUint(uint64(info.Mode().Perm()), 8); got != args[0] {
					ts.Fatalf("%s has mode %s, not %s", args[1], got, args[0])
				}
			},
		},
	})
}

func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("the exit status is %d, not %d", got, want)
	}
}
