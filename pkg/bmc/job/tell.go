package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/bmc/batch"
	"github.com/rackseed/rackseed/pkg/site"
)

// talk is how long a BMC may take to tell who it is, which is minutes with
// some, to set the boot device and to cycle. A simulated one is as slow as the
// computer that it runs on.
func (t *turn) talk() time.Duration {
	return max(t.in.r.c.Pace.Of(10*time.Minute), 20*time.Second)
}

// tell is the conversation with the BMC: is it this machine's, boot from the
// network once, off and on. What an earlier conversation has on record as sent
// is finished, and not begun again.
func (t *turn) tell(ctx context.Context, s *batch.Session) (batch.Outcome, error) {
	if !t.ladder.climb {
		if err := t.identify(ctx, s); err != nil {
			return batch.Outcome{}, err
		}
		if err := t.arm(ctx); err != nil {
			return batch.Outcome{}, err
		}
	}
	var out batch.Outcome
	if t.ladder.climb || len(s.Issued) == 0 {
		steps, err := t.bootDevice(ctx, s)
		out.Steps = steps
		if err != nil {
			return out, t.unlessCame(err)
		}
	}
	power, err := batch.Power(bmc.ActionCycle).Do(ctx, s)
	out.Steps = append(out.Steps, power.Steps...)
	t.ladder.begun = t.in.r.c.Now()
	_, _, n, _ := t.machine()
	t.ladder.since = cmp.Or(s.Switched(), n.Switched, t.ladder.begun)
	return out, t.unlessCame(err)
}

// mode is the firmware interface that a machine boots in, where that is
// known.
func mode(s *site.State, m *site.Machine) bmc.BootMode {
	switch cmp.Or(s.Settings.HardwareOf(m.Node).Boot, m.Inventory().Hardware.Boot) {
	case "uefi":
		return bmc.ModeUEFI
	case "bios":
		return bmc.ModeBIOS
	}
	return bmc.ModeKeep
}

// identify makes sure that the BMC is the one of the machine that the plan
// means, before anything is armed or switched, and learns from which ports it
// boots. What was looked up before is not asked again.
func (t *turn) identify(ctx context.Context, s *batch.Session) error {
	_, m, _, err := t.machine()
	if err != nil {
		return err
	}
	if _, known := m.InventoryFrom(site.FromBMC); known {
		return nil
	}
	t.say("asking its BMC who it is")
	found, err := s.Inventory(ctx)
	switch {
	case err == nil:
	case ctx.Err() != nil || errors.Is(err, bmc.ErrUnreachable) || errors.Is(err, bmc.ErrBusy) || errors.Is(err, bmc.ErrLogin) || errors.Is(err, bmc.ErrCertificate):
		return fmt.Errorf("reading the inventory, to know whose BMC it is: %w", err)
	default:
		t.note = fmt.Sprintf("its BMC gives no inventory (%v), so that its serial number was not compared", err)
		return nil
	}
	return t.in.r.keepInventory(ctx, s.Target, bmc.Observed(found))
}
