package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/bmc/job"
	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/seal"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// jobRunner runs jobs on the log of this core. The owner of the log, which a
// daemon is, goes on with what its predecessor left.
func (c *core) jobRunner(owner bool, dial bmc.Dialer, pace install.Pace, server netip.Addr) *job.Runner {
	secrets := passwords{box: c.box}
	return job.New(c.informed(job.Config{
		State: c.ledger.State, Now: c.ledger.Now,
		Do: func(ctx context.Context, decide func(*site.State, time.Time) ([]site.Body, error)) (*site.State, error) {
			return c.ledger.Do(ctx, decide)
		},
		Target: func(s *site.State, m *site.Machine) (bmc.Target, error) { return targetOf(s, m, secrets.reveal, false) },
		Dial:   dial, NewID: func() string { return "j-" + strings.ToLower(rand.Text()[:10]) }, Log: c.log, Owner: owner,
		Seal: c.box.Seal, Open: c.box.Open,
		Changed: c.ledger.Changed, Pace: pace, Patience: patienceAt(pace),
		Vet: func(s *site.State, machines []*site.Machine) error { return vet(c.composer, server, s, machines) },
	}))
}

// patienceAt is how long BMCs at this pace may take, which is not shorter
// than this computer may need for its part.
func patienceAt(p install.Pace) bmc.Patience {
	scale := func(d, least time.Duration) time.Duration { return max(p.Of(d), min(d, least)) }
	return bmc.Patience{
		Settle: scale(10*time.Second, time.Second), Power: scale(time.Minute, 4*time.Second),
		Soft: scale(5*time.Minute, 10*time.Second), Poll: scale(time.Second, 50*time.Millisecond),
	}
}

// runJob has the daemon, or its state directory, do a job, and shows it.
func (f *bmcFlags) runJob(ctx context.Context, g *globals, req view.JobRequest, show *jobView) (result view.Job, err error) {
	if f.direct.user != "" || f.direct.passwordFile != "" || f.direct.protocol != "" {
		return result, usageError("--user, --password-file and --protocol are for --bmc and --plan: the plan in force says how its BMCs are reached")
	}
	if f.direct.ca != "" {
		return result, usageError("--ca is for --bmc and --plan: the daemon takes its authorities with `rackseed serve --bmc-ca FILE`")
	}
	if f.direct.tryFile != "" {
		return result, f.direct.checkTries()
	}
	if f.newPassword != "" {
		box, err := seal.Open(filepath.Join(g.state, "key"))
		if err != nil {
			return result, err
		}
		req.Password = box.Seal(f.newPassword)
	}
	return result, withClient(ctx, g, func(cl *client.Client) error {
		started, err := cl.StartJob(ctx, req)
		if err != nil || started.State == dryRun {
			result = started
			return err
		}
		result, err = show.watch(started.Results, func(tell func(view.JobChange)) (view.Job, error) {
			return cl.FollowJob(ctx, started.ID, tell)
		})
		if err != nil {
			return fmt.Errorf("stopped watching job %s, which a daemon goes on with: %w; `rackseed job show %s` says how it stands", started.ID, err, started.ID)
		}
		return nil
	})
}

func newJobCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use: "job", Short: "Look at and cancel jobs against BMCs",
		Example: "  rackseed job list\n  rackseed job cancel j-k3v5q2x7ma",
	}
	list := &cobra.Command{
		Use: "list", Short: "List jobs, the newest first", Args: cobra.NoArgs, Example: "  rackseed job list --json",
		RunE: func(c *cobra.Command, _ []string) error {
			return withClient(c.Context(), g, func(cl *client.Client) error {
				jobs, err := cl.Jobs(c.Context())
				if err != nil || g.json {
					return errors.Join(err, printIf(err == nil, c, jobs))
				}
				rows := make([][]string, 0, len(jobs))
				for _, j := range jobs {
					rows = append(rows, []string{
						j.ID, strings.Join(append([]string{j.Verb}, j.Args...), " "), j.State, clock(j.Queued),
						fmt.Sprintf("%d of %d", j.OK, j.Total), fmt.Sprint(j.Failed), orDash(j.By), orDash(j.Reason),
					})
				}
				return table(c.OutOrStdout(), []string{"ID", "WHAT", "STATE", "BEGUN", "DONE", "FAILED", "BY", "NOTE"}, rows)
			})
		},
	}
	show := &cobra.Command{
		Use: "show ID", Short: "Say what became of each machine of a job", Args: cobra.ExactArgs(1), Example: "  rackseed job show j-k3v5q2x7ma",
		RunE: func(c *cobra.Command, args []string) error {
			return withClient(c.Context(), g, func(cl *client.Client) error {
				j, err := cl.Job(c.Context(), args[0])
				if err != nil || g.json {
					return errors.Join(err, printIf(err == nil, c, j))
				}
				return printJob(c.OutOrStdout(), j)
			})
		},
	}
	cancel := &cobra.Command{
		Use: "cancel ID", Short: "Begin no more machines of a job, and end those that are under way", Args: cobra.ExactArgs(1),
		Long: `End a job. A machine that was switched off to be cycled is switched on first.
` + "`--resume ID`" + ` goes on with what is left.`,
		Example: "  rackseed job cancel j-k3v5q2x7ma",
		RunE: func(c *cobra.Command, args []string) error {
			return withClient(c.Context(), g, func(cl *client.Client) error { return cl.CancelJob(c.Context(), args[0]) })
		},
	}
	c.AddCommand(list, show, cancel)
	return c
}

func printIf(wanted bool, c *cobra.Command, doc any) error {
	if !wanted {
		return nil
	}
	return printJSON(c, doc)
}
