package ipmi

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	goipmi "github.com/bougou/go-ipmi/pkg/bmc"
	"github.com/bougou/go-ipmi/pkg/handlers"
	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// Whoever only asks for the power stays an ordinary user, which spares every
// BMC of a rack a message; an order takes an administrator.
func TestPrivilegeIsRaisedForOrdersOnly(t *testing.T) {
	p := startPeer(t, 17)
	r := startRelay(t, p.address)
	var sent atomic.Int64
	r.drop.Store(func(answer bool, _ int) bool {
		if !answer {
			sent.Add(1)
		}
		return false
	})
	target := p.target()
	target.Address, target.Known = r.address, bmc.Known{Protocol: bmc.IPMI, CipherSuite: 17, Firmware: "3.41"}
	for _, test := range []struct {
		name     string
		do       func(bmc.Driver) error
		messages int64
	}{
		{"status: open, RAKP 1 and 3, the question, close", func(d bmc.Driver) error { _, err := d.Power(t.Context()); return err }, 5},
		{"order: the privilege as well", func(d bmc.Driver) error { return d.SetPower(t.Context(), bmc.ActionOn) }, 6},
		{"two orders: the privilege once", func(d bmc.Driver) error {
			return errors.Join(d.SetPower(t.Context(), bmc.ActionOff), d.SetPower(t.Context(), bmc.ActionOn))
		}, 7},
	} {
		sent.Store(0)
		d, err := Dial(t.Context(), target, quick())
		if err != nil {
			t.Fatal(err)
		}
		if err := test.do(d); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		_ = d.Close(t.Context())
		if n := sent.Load(); n != test.messages {
			t.Errorf("%s: %d messages, want %d", test.name, n, test.messages)
		}
	}
}

// Some BMCs want an administrator for what the standard gives to all.
func TestBMCThatAnswersAdministratorsOnly(t *testing.T) {
	strict := handlers.NewRegistry()
	all := handlers.NewRegistry()
	handlers.RegisterAllHandlers(all)
	for _, command := range []types.Command{types.CommandGetDeviceID, types.CommandGetChassisStatus} {
		strict.RegisterFunc(command, func(ctx context.Context, h *handlers.HandlerContext, data []byte) ([]byte, types.CompletionCode, error) {
			if h.Session.PrivilegeLevel < goipmi.PrivilegeLevelAdministrator {
				return nil, types.CodeInsufficientPrivilege, nil
			}
			return all.Dispatch(ctx, h, uint8(command.NetFn), command.ID, data)
		})
	}
	p := startServer(t, nil, goipmi.PrivilegeLevelAdministrator, strict, 17)
	d := dial(t, p.target(), quick())
	if _, err := d.Power(t.Context()); err != nil {
		t.Error(err)
	}
	if d.Known().Firmware != "3.41" {
		t.Errorf("known %+v", d.Known())
	}
}

// An operator is refused at the login by some BMCs, and by others only when
// the session is to become an administrator's.
func TestOperatorIsNoAdministrator(t *testing.T) {
	late := handlers.NewRegistry()
	late.RegisterFunc(types.CommandSetSessionPrivilegeLevel, func(context.Context, *handlers.HandlerContext, []byte) ([]byte, types.CompletionCode, error) {
		return nil, 0x81, nil // not available for this user (table 22-24)
	})
	for _, test := range []struct {
		name string
		peer *peer
		asks bool // may ask for the power
	}{
		{"at the login", startServer(t, nil, goipmi.PrivilegeLevelOperator, handlers.NewRegistry(), 17), false},
		{"later", startServer(t, nil, goipmi.PrivilegeLevelAdministrator, late, 17), true},
	} {
		d, err := Dial(t.Context(), test.peer.target(), quick())
		if !test.asks {
			if !errors.Is(err, bmc.ErrLogin) {
				t.Errorf("%s: got %v, want %v", test.name, err, bmc.ErrLogin)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close(context.Background()) })
		if _, err := d.Power(t.Context()); err != nil {
			t.Errorf("%s: power: %v", test.name, err)
		}
		if err := d.SetPower(t.Context(), bmc.ActionOff); !errors.Is(err, bmc.ErrLogin) {
			t.Errorf("%s: an order: got %v, want %v", test.name, err, bmc.ErrLogin)
		}
		if _, err := d.Inventory(t.Context()); !errors.Is(err, bmc.ErrLogin) {
			t.Errorf("%s: an inventory: got %v, want %v", test.name, err, bmc.ErrLogin)
		}
		if _, err := d.Boot(t.Context()); !errors.Is(err, bmc.ErrLogin) {
			t.Errorf("%s: the boot device: got %v, want %v", test.name, err, bmc.ErrLogin)
		}
	}
}
