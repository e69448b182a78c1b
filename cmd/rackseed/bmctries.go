package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/bmc/batch"
	"github.com/rackseed/rackseed/pkg/bmc/job"
	"github.com/rackseed/rackseed/pkg/seal"
)

// addTries adds the flags for BMCs whose password nobody wrote down. There
// is no list that comes with Rackseed.
func (f *directFlags) addTries(p *pflag.FlagSet) {
	p.StringVar(&f.tryFile, "try-passwords", "", "log in with what opens the BMC of this `FILE`, which has lines of USER:PASSWORD (with --bmc)")
	p.IntVar(&f.tryLimit, "try-limit", bmc.DefaultGuesses, "tell a BMC no more wrong passwords than this: many lock the account after three")
	p.DurationVar(&f.tryPause, "try-pause", 10*time.Second, "time between two wrong passwords")
}

// guesser tries the logins of the operator's list.
func (f *directFlags) guesser(dial bmc.Dialer) (*bmc.Guesser, error) {
	file, err := os.Open(f.tryFile)
	if err != nil {
		return nil, usageError("reading the list of logins: %w", err)
	}
	defer func() { _ = file.Close() }() // it was read
	logins, err := bmc.ReadLogins(file)
	if err != nil {
		return nil, usageError("%s: %w", f.tryFile, err)
	}
	if f.tryLimit < 1 {
		return nil, usageError("--try-limit is at least 1")
	}
	return &bmc.Guesser{Dial: dial, Logins: logins, Limit: f.tryLimit, Pause: f.tryPause}, nil
}

// checkTries refuses what would hide whose password is used.
func (f *directFlags) checkTries() error {
	switch {
	case f.tryFile == "":
		return nil
	case f.bmcs == "":
		return usageError("--try-passwords is for --bmc: a plan says which password its BMCs have")
	case f.user != "" || f.passwordFile != "":
		return usageError("give --try-passwords, or --user and --password-file, not both")
	}
	return nil
}

// equip has a direct run find out what opens a BMC, and set passwords that are
// on record before.
func (f *bmcFlags) equip(task batch.Task, dial bmc.Dialer, v *fileVault, verb string) (batch.Task, bmc.Dialer, error) {
	open := bmc.OpenEither(dial, v)
	if f.direct.tryFile != "" {
		g, err := f.direct.guesser(dial)
		if err != nil {
			return task, nil, err
		}
		f.guesser, open = g, g.Open
	}
	if verb == "inventory" && f.direct.bmcs == "" {
		return f.comparing(task, open)
	}
	if verb != job.Access {
		return task, open, nil
	}
	renew := batch.PasswordRenew(v, dial)
	task.Do = func(ctx context.Context, s *batch.Session) (batch.Outcome, error) {
		if f.guesser != nil {
			login, _ := f.guesser.Found(s.Target.Address)
			s.Target.Username, s.Target.Password = login.Username, login.Password
		}
		return renew.Do(ctx, s)
	}
	return task, func(ctx context.Context, t bmc.Target) (bmc.Driver, error) {
		t.PasswordOnly = true
		return open(ctx, t)
	}, nil
}

// comparing has an inventory fail for a machine that is another one than the
// plan file says.
func (f *bmcFlags) comparing(task batch.Task, open bmc.Dialer) (batch.Task, bmc.Dialer, error) {
	box, err := seal.Ephemeral()
	if err != nil {
		return task, nil, err
	}
	plan, err := stateOfPlan(f.plan, box)
	if err != nil {
		return task, nil, err
	}
	look := task.Do
	task.Do = func(ctx context.Context, s *batch.Session) (batch.Outcome, error) {
		out, err := look(ctx, s)
		found, ok := out.Data.(bmc.Inventory)
		m, planned := plan.Machine(s.Target.Name)
		if err != nil || !ok || !planned {
			return out, err
		}
		if err := plan.Contradiction(m, bmc.Observed(found)); err != nil {
			return out, fmt.Errorf("%w: %w", bmc.ErrOtherMachine, err)
		}
		return out, nil
	}
	return task, open, nil
}

func targetAt(address, user string) bmc.Target {
	return bmc.Target{Name: address, Address: address, Username: user}
}

// opened says which line of the list opened a BMC, and nothing else of it.
func opened(g *bmc.Guesser, address string) string {
	login, ok := g.Found(address)
	if !ok {
		return ""
	}
	return fmt.Sprintf("opened as %s, line %d of the list", login.Username, login.Line)
}
