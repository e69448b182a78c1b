package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/bmc/batch"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// bmcFlags are what all commands that speak with BMCs have.
type bmcFlags struct {
	options view.JobOptions
	resume  string
	csv     string
	dryRun  bool
	force   bool
	plan    string
	match   bool
	profile string // of a role, for firmware settings
	adopts  bool   // planned nodes get the BMCs that are theirs
	direct  directFlags

	newPassword site.Secret // that BMCs are given
	guesser     *bmc.Guesser
	found       adoption // by a direct run
}

// errNoTarget is told by every command in the same words.
var errNoTarget = errors.New("which machines? give a SELECTOR such as rack=A03, or addresses with --bmc")

func (f *bmcFlags) add(c *cobra.Command) {
	p := c.PersistentFlags()
	p.IntVar(&f.options.Parallel, "parallel", batch.DefaultParallel, "machines at a time")
	p.DurationVar(&f.options.Stagger, "stagger", 0, "time between two power-ons, such as 2s (inrush current)")
	p.IntVar(&f.options.PerRack, "per-rack", 0, "machines of one rack at a time (0: no bound)")
	p.IntVar(&f.options.Canary, "canary", 0, "the first so many must succeed before the rest begin")
	p.IntVar(&f.options.MaxFailures, "max-failures", 0, "begin no more after so many failed (0: go on)")
	p.DurationVar(&f.options.Deadline, "deadline", 0, "time for one machine, retries included (default: what the command takes)")
	p.StringVar(&f.resume, "resume", "", "go on with the job of this `ID`, without what is done")
	p.StringVar(&f.csv, "csv", "", "write the results to this `FILE`, too")
	p.BoolVar(&f.dryRun, "dry-run", false, "say which machines it is about, and ask none")
	p.BoolVar(&f.force, "force", false, "even while a machine is being installed")
	p.StringVar(&f.plan, "plan", "", "take the BMCs from this plan `FILE`, without a daemon")
	f.direct.add(p)
}

// bmcCommand makes a command whose first argument is the selector, unless
// --bmc or --resume stand for it. words are the arguments that follow.
func (f *bmcFlags) command(g *globals, c *cobra.Command, verb string, words func(args []string) ([]string, error)) *cobra.Command {
	c.Args = func(_ *cobra.Command, args []string) error {
		_, _, err := f.split(args, words)
		return err
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		selector, words, err := f.split(args, words)
		if err != nil {
			return err
		}
		return f.run(c, g, view.JobRequest{
			Verb: verb, Args: words, Selector: selector, Options: f.options, By: operatorName(),
			Resume: f.resume, Given: givenOptions(c, f.resume), Pin: f.direct.pin, Force: f.force, DryRun: f.dryRun,
		})
	}
	return c
}

// givenOptions names the options of a job that stand on the command line: one
// that goes on keeps the others as they were.
func givenOptions(c *cobra.Command, resume string) (names []string) {
	if resume == "" {
		return nil
	}
	options := map[string]string{
		"parallel": "parallel", "per-rack": "per_rack", "stagger": "stagger", "canary": "canary", "max-failures": "max_failures", "deadline": "deadline",
		"for": "window", "reason": "why", "no-power": "no_power", "console": "console",
	}
	c.Flags().Visit(func(f *pflag.Flag) {
		if name := options[f.Name]; name != "" {
			names = append(names, name)
		}
	})
	return names
}

func (f *bmcFlags) split(args []string, words func([]string) ([]string, error)) (selector string, rest []string, err error) {
	if f.direct.bmcs == "" && f.resume == "" {
		if len(args) == 0 {
			return "", nil, errNoTarget
		}
		selector, args = args[0], args[1:]
	}
	rest, err = words(args)
	return selector, rest, err
}

// noWords is words for a command that takes nothing but machines; first are
// the words of the job.
func noWords(first ...string) func([]string) ([]string, error) {
	return func(args []string) ([]string, error) {
		if len(args) > 0 {
			return nil, fmt.Errorf("it takes no %q", args[0])
		}
		return first, nil
	}
}

// run does the job where it can be done: against addresses, with a plan
// alone, or by the daemon or its state.
func (f *bmcFlags) run(c *cobra.Command, g *globals, req view.JobRequest) (err error) {
	task, err := batch.Parse(req.Verb, req.Args)
	if err != nil {
		return usageError("%w: see `%s --help`", err, c.CommandPath())
	}
	show := newJobView(c, g, req, task.Changes)
	var job view.Job
	switch {
	case f.direct.bmcs != "" && f.plan != "" && !f.match:
		return usageError("give --bmc or --plan, not both")
	case f.direct.bmcs != "" || f.plan != "":
		job, err = f.runDirect(c.Context(), c, g, req, task, show)
	default:
		job, err = f.runJob(c.Context(), g, req, show)
	}
	if err != nil {
		return err
	}
	if f.adopts && job.State != dryRun {
		return f.adopt(c, g, job)
	}
	if f.match && job.State != dryRun {
		return f.showMatches(c, g, job)
	}
	return show.end(job, f.csv)
}

// verdictOf is the exit status of a job.
func verdictOf(j view.Job) error {
	bad := j.Failed + j.NotStarted
	switch {
	case j.OK == j.Total:
		return nil
	case j.OK == 0:
		return &exitError{exitFailed, fmt.Errorf("none of %d machines is done%s", j.Total, reasonOf(j))}
	default:
		return &exitError{exitSome, fmt.Errorf("%d of %d machines are done, %d are not%s", j.OK, j.Total, bad, reasonOf(j))}
	}
}

func reasonOf(j view.Job) string {
	text := ""
	if j.Reason != "" {
		text = " (" + j.Reason + ")"
	}
	if j.ID != "" {
		text += fmt.Sprintf(": `rackseed %s --resume %s` goes on with the rest", strings.Join(append([]string{j.Verb}, j.Args...), " "), j.ID)
	}
	return text
}

// watchJob follows a job on the terminal: a drawing again and again, or one
// line for each change.
type jobView struct {
	c     *cobra.Command
	out   io.Writer
	json  bool
	lines bool // one line for each change
	board *jobBoard
}

func newJobView(c *cobra.Command, g *globals, req view.JobRequest, changes bool) *jobView {
	v := &jobView{c: c, out: c.OutOrStdout(), json: g.json}
	if isTerminal(c.ErrOrStderr()) {
		v.board = newJobBoard(strings.Join(append([]string{req.Verb}, req.Args...), " "))
	} else {
		v.lines = changes && !g.json
	}
	return v
}

// watch shows what follow tells of a job until it has ended.
func (v *jobView) watch(targets []view.JobResult, follow func(tell func(view.JobChange)) (view.Job, error)) (result view.Job, err error) {
	changes := make(chan view.JobChange, 64)
	ended := make(chan error, 1)
	go func() {
		defer close(changes)
		var err error
		result, err = follow(func(ch view.JobChange) { changes <- ch })
		ended <- err
	}()
	v.follow(targets, changes)
	err = <-ended
	return result, err
}

// follow shows a job until changes is closed. It is the only one that writes
// to the terminal meanwhile.
func (v *jobView) follow(targets []view.JobResult, changes <-chan view.JobChange) {
	var tick <-chan time.Time
	if v.board != nil {
		v.board.begin(targets)
		t := time.NewTicker(200 * time.Millisecond)
		defer t.Stop()
		tick = t.C
	}
	lines := bufio.NewWriter(v.out)
	defer func() { _ = lines.Flush() }()
	for {
		select {
		case ch, ok := <-changes:
			if !ok {
				if v.board != nil {
					v.board.draw(v.c.ErrOrStderr())
				}
				return
			}
			if v.board != nil {
				v.board.apply(ch)
			}
			if v.lines {
				fmt.Fprintf(lines, "%s  %-11s  %s\n", ch.Target, ch.Phase, ch.What)
			}
			if len(changes) == 0 {
				_ = lines.Flush() // with the lines that came together
			}
		case <-tick:
			v.board.draw(v.c.ErrOrStderr())
		}
	}
}

// end prints what came of it, and gives the exit status.
func (v *jobView) end(job view.Job, csvFile string) error {
	if job.State == dryRun {
		return v.dryRun(job)
	}
	if csvFile != "" {
		if err := writeCSV(csvFile, job); err != nil {
			return err
		}
	}
	if v.json {
		if err := printJSON(v.c, job); err != nil {
			return err
		}
		return verdictOf(job)
	}
	if !v.lines {
		if err := printJob(v.out, job); err != nil {
			return err
		}
	}
	return verdictOf(job)
}

// dryRun is the state of a job that is only talked about.
const dryRun = "dry-run"

// dryRun says which machines a job would be about.
func (v *jobView) dryRun(job view.Job) error {
	if v.json {
		return printJSON(v.c, job)
	}
	rows := make([][]string, 0, len(job.Results))
	for _, t := range job.Results {
		rows = append(rows, []string{t.Target, orDash(t.Rack), t.Address})
	}
	if err := table(v.out, []string{"NAME", "RACK", "BMC"}, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(v.out, "%d machines would be told: %s.\n", len(job.Results), strings.Join(append([]string{job.Verb}, job.Args...), " "))
	return err
}

// readSecret reads the first line of a password file; - is the standard input.
func readSecret(ctx context.Context, c *cobra.Command, name string) (string, error) {
	var data []byte
	var err error
	if name == "-" {
		data, err = io.ReadAll(io.LimitReader(c.InOrStdin(), 4096))
	} else {
		data, err = os.ReadFile(name)
	}
	if err != nil {
		return "", usageError("reading the password: %w", err)
	}
	line, _, _ := strings.Cut(string(data), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" {
		return "", usageError("the password file %s is empty", name)
	}
	return line, ctx.Err()
}
