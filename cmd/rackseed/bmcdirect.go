package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/bmc/batch"
	"github.com/rackseed/rackseed/pkg/bmc/ipmi"
	"github.com/rackseed/rackseed/pkg/bmc/job"
	"github.com/rackseed/rackseed/pkg/bmc/redfish"
	"github.com/rackseed/rackseed/pkg/seal"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// directFlags say how BMCs are reached without a daemon.
type directFlags struct {
	bmcs         string
	protocol     string
	user         string
	passwordFile string
	ca           string
	pin          string
	tryFile      string
	tryLimit     int
	tryPause     time.Duration
	vault        *fileVault // has passwords of BMCs that no log knows; nil has none
}

func (f *directFlags) add(p *pflag.FlagSet) {
	p.StringVar(&f.bmcs, "bmc", "", "BMC addresses in place of a selector: `LIST` such as 10.21.0.[11-42],bmc7:6230,https://10.21.0.50")
	p.StringVar(&f.protocol, "protocol", "", "auto, ipmi or redfish (default: what the plan says, else auto)")
	p.StringVar(&f.user, "user", "", "user `NAME` on the BMCs, in place of the plan's")
	p.StringVar(&f.passwordFile, "password-file", "", "`FILE` whose first line is the password; - is the standard input")
	p.StringVar(&f.ca, "ca", "", "verify certificates of BMCs with the authorities in this PEM `FILE`")
	p.StringVar(&f.pin, "pin", "", "`SHA-256` of the certificate that the BMC has now, in place of the one that is remembered")
}

// splitAddresses writes out a list of BMCs. A part in brackets with a colon
// is an IPv6 address, not a range.
func splitAddresses(list string) ([]string, error) {
	var out []string
	depth, start := 0, 0
	for i := 0; i <= len(list); i++ {
		switch {
		case i == len(list) || list[i] == ',' && depth == 0:
			part := strings.TrimSpace(list[start:i])
			start = i + 1
			if part == "" {
				continue
			}
			expanded, err := expandAddress(part)
			if err != nil {
				return nil, err
			}
			out = append(out, expanded...)
		case list[i] == '[':
			depth++
		case list[i] == ']':
			depth--
		}
	}
	seen := map[string]bool{}
	for _, a := range out {
		if seen[a] {
			return nil, fmt.Errorf("%s is in the list twice", a)
		}
		seen[a] = true
	}
	if len(out) == 0 {
		return nil, errors.New("the list of BMCs is empty")
	}
	return out, nil
}

func expandAddress(part string) ([]string, error) {
	host := part
	if _, rest, ok := strings.Cut(part, "://"); ok {
		host, _, _ = strings.Cut(rest, "/")
	}
	if _, err := netip.ParseAddrPort(host); err == nil {
		return []string{part}, nil
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return []string{part}, nil
	}
	if strings.Contains(part, "@") {
		return nil, errors.New("a password does not belong into an address: give --user and --password-file")
	}
	return site.Expand(part)
}

// runDirect does a job in this process, without a log.
func (f *bmcFlags) runDirect(ctx context.Context, c *cobra.Command, g *globals, req view.JobRequest, task batch.Task, show *jobView) (view.Job, error) {
	result := view.Job{Verb: req.Verb, Args: req.Args, State: "ended"}
	if f.resume != "" {
		return result, usageError("--resume needs the log of a daemon or of a state directory; without one, give the BMCs that are left")
	}
	vault := &fileVault{dir: g.state, given: f.newPassword}
	f.direct.vault = vault
	if err := f.direct.checkTries(); err != nil {
		return result, err
	}
	targets, around, err := f.targets(ctx, c, req.Selector)
	if err != nil {
		return result, err
	}
	waiting := waitingResults(targets)
	if f.dryRun {
		result.State, result.Results = dryRun, waiting
		result.Count()
		return result, nil
	}
	dial, err := f.direct.dialer()
	if err != nil {
		return result, err
	}
	task, dial, err = f.equip(task, dial, vault, req.Verb)
	if err != nil {
		return result, err
	}
	known := knownBMCs(filepath.Join(g.state, "bmcs.json"))
	if err := known.recall(targets); err != nil {
		return result, err
	}
	// Of a heap of a few megabytes that is gone in a moment, collecting is a
	// tenth of the work.
	defer debug.SetGCPercent(debug.SetGCPercent(200))
	changes := make(chan view.JobChange, 64)
	ended := make(chan []batch.Result, 1)
	go func() {
		defer close(changes)
		ended <- batch.Run(ctx, batchOptions(req.Options, dial, around), targets, task, func(ch batch.Change) { changes <- job.Change(ch) })
	}()
	show.follow(waiting, changes)
	results := <-ended
	if err := known.learn(results); err != nil {
		fmt.Fprintln(c.ErrOrStderr(), "warning:", err)
	}
	learned := map[string]bmc.Known{}
	for _, r := range results {
		learned[r.Address] = r.Known
		result.Results = append(result.Results, job.Result(r))
	}
	f.remember(targets, learned)
	if f.guesser != nil {
		for _, t := range targets {
			if said := opened(f.guesser, t.Address); said != "" {
				fmt.Fprintf(c.ErrOrStderr(), "%s: %s\n", t.Address, said)
			}
		}
	}
	result.Count()
	return result, nil
}

func batchOptions(o view.JobOptions, dial bmc.Dialer, around batch.Around) batch.Options {
	return batch.Options{Parallel: o.Parallel, PerRack: o.PerRack, Stagger: o.Stagger, Canary: o.Canary, MaxFailures: o.MaxFailures, Deadline: o.Deadline, Dial: dial, Around: around}
}

// targets are the BMCs of --bmc, or of the machines that a plan file has, with
// what is known of them.
func (f *bmcFlags) targets(ctx context.Context, c *cobra.Command, selector string) ([]bmc.Target, batch.Around, error) {
	var around batch.Around
	if f.profile != "" {
		wanted, err := biosOfProfile(f.profile)
		if err != nil {
			return nil, around, err
		}
		around.BIOS = func(string) (map[string]string, error) { return wanted, nil }
	}
	targets, err := f.listTargets(ctx, c, selector, &around)
	return targets, around, err
}

func (f *bmcFlags) listTargets(ctx context.Context, c *cobra.Command, selector string, around *batch.Around) ([]bmc.Target, error) {
	if f.direct.protocol != "" && !slices.Contains([]bmc.Protocol{bmc.Auto, bmc.IPMI, bmc.Redfish}, bmc.Protocol(f.direct.protocol)) {
		return nil, usageError("--protocol is auto, ipmi or redfish, not %q", f.direct.protocol)
	}
	var targets []bmc.Target
	if f.direct.bmcs == "" {
		box, err := seal.Ephemeral()
		if err != nil {
			return nil, err
		}
		s, err := stateOfPlan(f.plan, box)
		if err != nil {
			return nil, err
		}
		around.BIOS = biosOfPlan(s)
		targets, err = planTargets(s, selector, passwords{box: box}.reveal, f.direct.passwordFile != "" || f.dryRun)
		if err != nil {
			return nil, err
		}
	} else {
		list, err := splitAddresses(f.direct.bmcs)
		if err != nil {
			return nil, usageError("--bmc: %w", err)
		}
		for _, a := range list {
			targets = append(targets, bmc.Target{Name: a, Address: a})
		}
	}
	if f.dryRun {
		return targets, nil
	}
	return targets, f.direct.complete(ctx, c, targets)
}

// complete fills in what the flags say over what the plan says.
func (f *directFlags) complete(ctx context.Context, c *cobra.Command, targets []bmc.Target) error {
	password := ""
	var err error
	switch {
	case f.tryFile != "":
	case f.passwordFile != "":
		password, err = readSecret(ctx, c, f.passwordFile)
	case f.bmcs != "" && f.user == "":
		return usageError("who logs in? give --user NAME and --password-file FILE")
	default:
		password, err = f.unlessKept(c, targets)
	}
	if err != nil {
		return err
	}
	for i := range targets {
		t := &targets[i]
		if f.protocol != "" {
			t.Protocol = bmc.Protocol(f.protocol)
		}
		if f.user != "" {
			t.Username = f.user
		}
		if password != "" && (t.Password == "" || f.passwordFile != "") {
			t.Password = site.Secret(password)
		}
		if f.pin != "" {
			t.Known.Certificate = strings.ToLower(strings.ReplaceAll(f.pin, ":", ""))
		}
	}
	return nil
}

// unlessKept takes the passwords that were set by us, and asks a person only
// for BMCs that are given by address and whose password nobody knows.
func (f *directFlags) unlessKept(c *cobra.Command, targets []bmc.Target) (string, error) {
	for i := range targets {
		if f.user != "" {
			targets[i].Username = f.user
		}
	}
	if f.vault != nil {
		if all, err := f.vault.fill(targets); err != nil || all {
			return "", err
		}
	}
	if f.bmcs == "" {
		return "", nil
	}
	return f.ask(c)
}

// ask takes the password from a person, who sees nothing of it.
func (f *directFlags) ask(c *cobra.Command) (string, error) {
	in, ok := c.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return "", usageError("which password? give --password-file FILE, or - for the standard input; it is not taken from the command line, where others could read it")
	}
	fmt.Fprintf(c.ErrOrStderr(), "Password of %s: ", f.user)
	data, err := term.ReadPassword(int(in.Fd()))
	fmt.Fprintln(c.ErrOrStderr())
	if err != nil {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	return string(data), nil
}

func (f *directFlags) dialer() (bmc.Dialer, error) { return dialerOf(f.ca) }

// dialerOf trusts the authorities of a file, or without one pins the
// certificate that a BMC shows first.
func dialerOf(ca string) (bmc.Dialer, error) {
	var o redfish.Options
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, usageError("reading the authorities: %w", err)
		}
		o.CA = x509.NewCertPool()
		if !o.CA.AppendCertsFromPEM(pem) {
			return nil, usageError("%s holds no certificate in PEM form", ca)
		}
	}
	return dialers(o), nil
}

// dialers speak both protocols.
func dialers(o redfish.Options) bmc.Dialer {
	byIPMI := func(ctx context.Context, t bmc.Target) (bmc.Driver, error) { return ipmi.Dial(ctx, t, ipmi.Options{}) }
	return bmc.Dialers{Redfish: redfish.NewDialer(o), IPMI: byIPMI}.Dial
}

func waitingResults(targets []bmc.Target) []view.JobResult {
	out := make([]view.JobResult, 0, len(targets))
	for _, t := range targets {
		out = append(out, view.JobResult{Target: t.Name, Address: t.Address, Rack: t.Rack, Phase: "waiting"})
	}
	return out
}
