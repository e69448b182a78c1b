package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rackseed/rackseed/pkg/sim"
	"github.com/rackseed/rackseed/pkg/sim/bmcsim"
	"github.com/rackseed/rackseed/pkg/view"
)

// bmcRange gives each script's BMCs addresses of their own.
var bmcRange atomic.Uint32

// simulateBMCs is the command `bmcs N [FAULT…]` of scripts: N simulated BMCs
// at $BMCS as a list, and at $BMC1, $BMC2… each; the first of them have the
// faults. Their user is admin, their password rackseed.
func simulateBMCs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: bmcs N [FAULT…]")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	var faults []sim.Fault
	for _, name := range args[1:] {
		faults = append(faults, sim.Fault(name))
	}
	at := netip.AddrFrom4([4]byte{127, 90, byte(bmcRange.Add(1)), 1})
	front, err := bmcsim.Serve(netip.AddrPortFrom(at, 0), bmcsim.Rack(n, bmcsim.Config{}, faults...)...)
	ts.Check(err)
	ts.Defer(front.Close)
	for i, a := range front.Addresses {
		ts.Setenv(fmt.Sprint("BMC", i+1), a.String())
	}
	bare := at.As4()
	port := front.Addresses[0].Port()
	ts.Setenv("BMCS", fmt.Sprintf("%d.%d.%d.[1-%d]:%d", bare[0], bare[1], bare[2], n, port))
	ts.Setenv("DEAD", fmt.Sprintf("%d.%d.%d.200:%d", bare[0], bare[1], bare[2], port))
}

// newestJob is the command `jobid STATE` of scripts.
func newestJob(ts *testscript.TestScript, _ bool, args []string) {
	var out, errOut bytes.Buffer
	if status := run(context.Background(), []string{"--state", ts.MkAbs(args[0]), "job", "list", "--json"}, strings.NewReader(""), &out, &errOut); status != exitDone {
		ts.Fatalf("%s", errOut.String())
	}
	var jobs []view.Job
	ts.Check(json.Unmarshal(out.Bytes(), &jobs))
	ts.Setenv("JOB", jobs[0].ID)
}

func TestSplitAddresses(t *testing.T) {
	for list, want := range map[string]string{
		"10.21.0.11":                           "10.21.0.11",
		"10.21.0.[11-13]":                      "10.21.0.11 10.21.0.12 10.21.0.13",
		"10.21.[0-1].[1,3], bmc7:6230":         "10.21.0.1 10.21.0.3 10.21.1.1 10.21.1.3 bmc7:6230",
		"https://10.21.0.[11-12]:8443":         "https://10.21.0.11:8443 https://10.21.0.12:8443",
		"[fd00::1]:623,fd00::2,https://[::1]/": "[fd00::1]:623 fd00::2 https://[::1]/",
		"":                                     "the list of BMCs is empty",
		"a,b,a":                                "a is in the list twice",
		"https://admin:secret@10.21.0.11":      "a password does not belong into an address: give --user and --password-file",
		"10.21.0.[12-11]":                      `"10.21.0.[12-11]": [12-11] runs backwards`,
	} {
		got, err := splitAddresses(list)
		text := strings.Join(got, " ")
		if err != nil {
			text = err.Error()
		}
		if text != want {
			t.Errorf("%q gave %q, want %q", list, text, want)
		}
	}
}

func TestVerdictOf(t *testing.T) {
	for _, c := range []struct {
		job    view.Job
		status int
		says   string
	}{
		{view.Job{Total: 4, OK: 4}, 0, ""},
		{view.Job{Total: 4, OK: 3, Failed: 1}, 3, "3 of 4 machines are done, 1 are not"},
		{view.Job{Total: 4, Failed: 1, NotStarted: 3, Reason: "the canary n1 failed"}, 1, "none of 4 machines is done (the canary n1 failed)"},
		{view.Job{ID: "J", Verb: "power", Args: []string{"cycle"}, Total: 2, OK: 1, NotStarted: 1}, 3, "1 of 2 machines are done, 1 are not: `rackseed power cycle --resume J` goes on with the rest"},
	} {
		err := verdictOf(c.job)
		status, says := 0, ""
		if err != nil {
			status, says = statusOf(err), err.Error()
		}
		if diff := cmp.Diff([]any{c.status, c.says}, []any{status, says}); diff != "" {
			t.Error(diff)
		}
	}
}
