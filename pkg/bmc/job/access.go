package job

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/bmc/batch"
	"github.com/rackseed/rackseed/pkg/site"
)

// Access is the verb of jobs that change how BMCs are reached.
const Access = "bmc"

// equip gives a task what it needs of the log: inventories are kept there,
// and passwords are on record before they are sent.
func (r *Runner) equip(l *live, v *vault) batch.Task {
	task := l.task
	switch l.job.Verb {
	case "inventory":
		task.Do = r.keeping(task.Do)
	case Access:
		task.Do = batch.PasswordRenew(v, r.c.Dial).Do
	}
	return task
}

// keeping has what a BMC says of its machine be kept.
func (r *Runner) keeping(look func(context.Context, *batch.Session) (batch.Outcome, error)) func(context.Context, *batch.Session) (batch.Outcome, error) {
	return func(ctx context.Context, s *batch.Session) (batch.Outcome, error) {
		out, err := look(ctx, s)
		found, ok := out.Data.(bmc.Inventory)
		if err != nil || !ok {
			return out, err
		}
		if s.Target.Username == "" {
			out.Message += "; not kept, because nobody logged in"
			return out, nil
		}
		return out, r.keepInventory(ctx, s.Target, bmc.Observed(found))
	}
}

// keepInventory records an inventory that speaks for itself, and nothing of
// one that contradicts the plan.
func (r *Runner) keepInventory(ctx context.Context, t bmc.Target, found site.Inventory) error {
	var wrong error
	_, err := r.c.Do(ctx, func(s *site.State, _ time.Time) ([]site.Body, error) {
		m, ok := s.Machine(t.Name)
		if !ok || s.BMCOf(m).Address != t.Address {
			return nil, nil // the plan has changed meanwhile
		}
		if wrong = s.Contradiction(m, found); wrong != nil {
			return nil, nil
		}
		if before, ok := m.InventoryFrom(site.FromBMC); ok && sameInventory(before, found) {
			return nil, nil
		}
		return []site.Body{site.NodeInventoried{Node: t.Name, Inventory: found}}, nil
	})
	switch {
	case wrong != nil:
		return fmt.Errorf("%w: %w; nothing was learned from it", bmc.ErrOtherMachine, wrong)
	case err != nil:
		return fmt.Errorf("keeping the inventory: %w", err)
	}
	return nil
}

func sameInventory(a, b site.Inventory) bool {
	a.At, b.At = time.Time{}, time.Time{}
	return reflect.DeepEqual(a, b)
}

// vault keeps the passwords of a job's BMCs in the log, sealed.
type vault struct {
	r     *Runner
	by    string
	given site.Secret // sealed; empty means that each BMC gets one of its own
	lost  bool        // one was given, to a daemon that is gone
}

func (r *Runner) vaultOf(l *live) *vault {
	args := l.job.Args
	given := l.job.Verb == Access && len(args) == 2 && args[1] == "given"
	return &vault{r: r, by: l.job.By, given: l.given, lost: given && l.given == ""}
}

// Issue puts a password on record that is about to be set.
func (v *vault) Issue(ctx context.Context, t bmc.Target) (site.Secret, error) {
	if v.lost {
		return "", errors.New("the password that was given is not kept for machines that it was not sent to: run the command again with --new-password-file")
	}
	if t.Username == "" {
		return "", fmt.Errorf("the plan names no user of the BMC of %s: add bmc: {username: NAME}", t.Name)
	}
	var sealed site.Secret
	_, err := v.r.c.Do(ctx, func(s *site.State, _ time.Time) ([]site.Body, error) {
		m, ok := s.Machine(t.Name)
		if !ok {
			return nil, fmt.Errorf("the plan has no node %s any more", t.Name)
		}
		user, pending := s.NextBMCPassword(m)
		switch {
		case v.given != "":
			sealed = v.given
		case pending != "" && user == t.Username:
			sealed = pending
			return nil, nil
		default:
			sealed = v.r.c.Seal(bmc.GeneratePassword())
		}
		return []site.Body{site.BMCPasswordIssued{Node: t.Name, Username: t.Username, Password: sealed, By: v.by}}, nil
	})
	if err != nil {
		return "", err
	}
	return v.open(sealed)
}

func (v *vault) open(sealed site.Secret) (site.Secret, error) {
	text, err := v.r.c.Open(sealed)
	return site.Secret(text), err
}

// Pending is what a change that did not come to its end may have set.
func (v *vault) Pending(t bmc.Target) site.Secret {
	s := v.r.c.State()
	m, ok := s.Machine(t.Name)
	if !ok {
		return ""
	}
	user, sealed := s.NextBMCPassword(m)
	if sealed == "" || user != t.Username {
		return ""
	}
	password, err := v.open(sealed)
	if err != nil {
		v.r.c.Log.Error("a sealed password cannot be opened", "node", t.Name, "error", err)
	}
	return password
}

// Settle puts on record which password is in force.
func (v *vault) Settle(ctx context.Context, t bmc.Target, changed bool) error {
	return v.r.record(ctx, site.BMCPasswordSettled{Node: t.Name, Changed: changed})
}
