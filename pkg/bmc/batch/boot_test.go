package batch

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// server is a machine and the BMC that lies about it: whatever it is told, it
// says that it keeps it, and its firmware heeds only what was told in heeds.
type server struct {
	bmc.Driver
	speaks bmc.Protocol
	ways   []string
	heeds  string        // the way that the firmware understands; "" is none
	post   time.Duration // from power-on to its first packet
	keeps  bool          // says for good what was told for once
	noNone bool          // knows no none

	w      *wire
	power  bmc.PowerState
	told   bmc.Boot
	heard  bmc.Boot // what the firmware knows
	closed bool
}

// wire is what a daemon sees of it.
type wire struct {
	signs []bmc.Sign
	log   []string
	notes []string
}

func (w *wire) seen(_ string, since time.Time) (bmc.Sign, bool) {
	for _, s := range w.signs {
		if !s.At.Before(since) && !s.At.After(time.Now()) {
			return s, true
		}
	}
	return bmc.Sign{}, false
}

func (s *server) Known() bmc.Known { return bmc.Known{Protocol: s.speaks} }
func (s *server) Ways() []bmc.Way {
	var ways []bmc.Way
	for _, name := range s.ways {
		ways = append(ways, bmc.Way{Name: name})
	}
	return ways
}

func (s *server) SetBoot(_ context.Context, want bmc.Boot, way bmc.Way) error {
	if s.noNone && want.Device == bmc.DeviceNone {
		return bmc.ErrUnsupported
	}
	s.w.log = append(s.w.log, fmt.Sprintf("%s by %s", want, way.Name))
	s.told = want
	if s.keeps && want.Device != bmc.DeviceNone {
		s.told.Persistent = true
	}
	if way.Name == s.heeds {
		s.heard = want
	}
	return nil
}

func (s *server) Boot(context.Context) (bmc.Boot, error)        { return s.told, nil }
func (s *server) Power(context.Context) (bmc.PowerState, error) { return s.power, nil }

func (s *server) SetPower(_ context.Context, a bmc.PowerAction) error {
	s.w.log = append(s.w.log, "power "+string(a))
	if a == bmc.ActionOff {
		s.power = bmc.PowerOff
		return nil
	}
	s.power = bmc.PowerOn
	if s.heard.Device == bmc.DevicePXE {
		s.w.signs = append(s.w.signs, bmc.Sign{Device: bmc.DevicePXE, At: time.Now().Add(s.post), What: "DHCP by PXE firmware"})
	}
	s.heard = bmc.Boot{}
	if !s.keeps {
		s.told = bmc.Boot{Device: bmc.DeviceNone}
	}
	return nil
}

func (s *server) Close(context.Context) error {
	s.closed = true
	return nil
}

func TestBootVerify(t *testing.T) {
	pxe := bmc.Boot{Device: bmc.DevicePXE}
	const seen = "seen on the wire: DHCP by PXE firmware"
	const unseen = "nothing came from it on the wire within 5m0s: it went to disk although the BMC said pxe, or it hangs"
	for _, tt := range []struct {
		name     string
		redfish  server
		ipmi     *server
		want     bmc.Boot
		protocol bmc.Protocol
		blind    bool
		past     []bmc.PowerAction
		result   string
		log      string
		notes    string
	}{
		{
			name: "it complies", redfish: server{ways: []string{"a"}, heeds: "a", post: time.Minute}, want: pxe,
			result: "done: pxe once; " + seen,
			log:    "pxe once by a, power off, power on",
			notes:  "told pxe once by a; power cycle 1 of at most 3 to see what it boots",
		},
		{
			name: "it complies with the vendor's way", redfish: server{ways: []string{"a", "vendor"}, heeds: "vendor"}, want: pxe,
			result: "done: pxe once; " + seen,
			log:    "pxe once by a, power off, power on, pxe once by vendor, power off, power on",
			notes:  "told pxe once by a; power cycle 1 of at most 3 to see what it boots | " + unseen + " | told pxe once by vendor; power cycle 2 of at most 3 to see what it boots",
		},
		{
			name: "it complies by the other protocol", redfish: server{ways: []string{"a"}}, ipmi: &server{ways: []string{"raw"}, heeds: "raw"}, want: pxe,
			result: "done: pxe once; " + seen,
			log:    "pxe once by a, power off, power on, pxe once by raw, power off, power on",
			notes:  "told pxe once by a; power cycle 1 of at most 3 to see what it boots | " + unseen + " | told pxe once by raw; power cycle 2 of at most 3 to see what it boots",
		},
		{
			name: "the plan wants no other protocol", protocol: bmc.Redfish, redfish: server{ways: []string{"a"}}, ipmi: &server{ways: []string{"raw"}, heeds: "raw"}, want: pxe,
			result: "failed: after a power cycle: " + unseen + "; no other way to tell it is left: the machine did not boot what its BMC was told",
			log:    "pxe once by a, power off, power on",
			notes:  "told pxe once by a; power cycle 1 of at most 3 to see what it boots | " + unseen,
		},
		{
			name: "it never complies, and is not cycled for ever", redfish: server{ways: []string{"a", "b", "c", "d", "e"}}, want: pxe,
			result: "failed: after 3 power cycles: " + unseen + ": the machine did not boot what its BMC was told",
			log:    "pxe once by a, power off, power on, pxe once by b, power off, power on, pxe once by c, power off, power on",
			notes: "told pxe once by a; power cycle 1 of at most 3 to see what it boots | " + unseen + " | told pxe once by b; power cycle 2 of at most 3 to see what it boots | " + unseen +
				" | told pxe once by c; power cycle 3 of at most 3 to see what it boots | " + unseen,
		},
		{
			name: "a boot from disk shows by silence", redfish: server{ways: []string{"a"}, heeds: "a"}, want: bmc.Boot{Device: bmc.DeviceDisk},
			result: "done: disk once; it did not ask the network within 5m0s",
			log:    "disk once by a, power off, power on",
			notes:  "told disk once by a; power cycle 1 of at most 3 to see what it boots",
		},
		{
			name: "what a BMC would keep for all boots is taken back", redfish: server{ways: []string{"a"}, heeds: "a", keeps: true}, want: pxe,
			result: "done: pxe persistently; " + seen + "; the BMC would have kept it for all boots: taken back",
			log:    "pxe once by a, power off, power on, no override by a",
			notes:  "told pxe once by a; power cycle 1 of at most 3 to see what it boots",
		},
		{
			name: "what a BMC keeps for all boots gives way to the disk", redfish: server{ways: []string{"a"}, heeds: "a", keeps: true, noNone: true}, want: pxe,
			result: "done: pxe persistently; " + seen + "; the BMC would have kept it for all boots, and takes no none: told the disk for good",
			log:    "pxe once by a, power off, power on, disk persistently by a",
			notes:  "told pxe once by a; power cycle 1 of at most 3 to see what it boots",
		},
		{
			name: "nobody sees the wire", redfish: server{ways: []string{"a"}}, want: pxe, blind: true,
			result: "done: pxe once; the BMC says that the override is used up; not compared with the wire, which only a daemon sees",
			log:    "pxe once by a, power off, power on",
			notes:  "told pxe once by a; power cycle 1 of at most 3 to see what it boots",
		},
		{
			name: "an interrupted job cycles no second time", redfish: server{ways: []string{"a"}, heeds: "a"}, want: pxe, past: []bmc.PowerAction{bmc.ActionOff, bmc.ActionOn},
			result: "failed: " + unseen + "; it was cycled before this job was interrupted, and is not cycled again: give the order anew: the machine did not boot what its BMC was told",
		},
		{
			name: "an interrupted job finishes its cycle", redfish: server{ways: []string{"a"}, power: bmc.PowerOff, heard: pxe}, want: pxe, past: []bmc.PowerAction{bmc.ActionOff},
			result: "done: no override; " + seen,
			log:    "power on",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &wire{}
				s := tt.redfish
				s.w, s.speaks = w, bmc.Redfish
				if s.power == "" {
					s.power = bmc.PowerOn
				}
				o := Options{
					Around: Around{Boot: w.seen},
					Dial: func(_ context.Context, target bmc.Target) (bmc.Driver, error) {
						if target.Protocol == bmc.IPMI && tt.ipmi != nil {
							tt.ipmi.w, tt.ipmi.speaks, tt.ipmi.power = w, bmc.IPMI, s.power
							return tt.ipmi, nil
						}
						if target.Protocol == bmc.IPMI {
							return nil, bmc.ErrUnreachable
						}
						return &s, nil
					},
					Note: func(_ context.Context, _, what string) error {
						w.notes = append(w.notes, what)
						return nil
					},
					Past: map[string]Past{"n1": {Issued: tt.past}},
				}
				if tt.blind {
					o.Around.Boot = nil
				}
				r := Run(t.Context(), o, []bmc.Target{{Name: "n1", Address: "n1", Protocol: tt.protocol}}, BootVerify(tt.want, 0), nil)[0]
				got := []string{string(r.Phase) + ": " + r.Message, strings.Join(w.log, ", "), strings.Join(w.notes, " | ")}
				if diff := cmp.Diff([]string{tt.result, tt.log, tt.notes}, got); diff != "" {
					t.Error(diff)
				}
				if !s.closed || tt.ipmi != nil && tt.ipmi.w != nil && !tt.ipmi.closed {
					t.Error("a session is left open")
				}
			})
		})
	}
}

func TestPowerVerify(t *testing.T) {
	for _, tt := range []struct {
		name   string
		s      server
		result string
		log    string
	}{
		{"no override", server{ways: []string{"a"}}, "done: on; no boot device was told, so there is nothing to compare", "power off, power on"},
		{"it complies", server{ways: []string{"a"}, told: bmc.Boot{Device: bmc.DevicePXE}, heard: bmc.Boot{Device: bmc.DevicePXE}}, "done: on; seen on the wire: DHCP by PXE firmware", "power off, power on"},
		{
			"it complies when told otherwise", server{ways: []string{"a"}, heeds: "a", told: bmc.Boot{Device: bmc.DevicePXE}}, "done: on; seen on the wire: DHCP by PXE firmware",
			"power off, power on, pxe once by a, power off, power on",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &wire{}
				tt.s.w, tt.s.power = w, bmc.PowerOn
				o := Options{Around: Around{Boot: w.seen}, Dial: func(context.Context, bmc.Target) (bmc.Driver, error) { return &tt.s, nil }}
				r := Run(t.Context(), o, []bmc.Target{{Name: "n1", Address: "n1", Protocol: bmc.Redfish}}, PowerVerify(bmc.ActionCycle, 0), nil)[0]
				if diff := cmp.Diff([]string{tt.result, tt.log}, []string{string(r.Phase) + ": " + r.Message, strings.Join(w.log, ", ")}); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// TestOtherProtocol: what no way of one protocol makes stick is told by the
// other, where the plan leaves it open.
func TestOtherProtocol(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{}
		redfish, ipmi := &server{w: w, speaks: bmc.Redfish}, &server{w: w, speaks: bmc.IPMI, ways: []string{"raw"}}
		o := Options{Dial: func(_ context.Context, target bmc.Target) (bmc.Driver, error) {
			if target.Protocol == bmc.IPMI {
				if !redfish.closed {
					t.Error("two sessions at once")
				}
				return ipmi, nil
			}
			return redfish, nil
		}}
		r := Run(t.Context(), o, []bmc.Target{{Name: "n1", Address: "n1"}}, BootSet(bmc.Boot{Device: bmc.DevicePXE}), nil)[0]
		if !r.OK || r.Message != "pxe once" || r.Known.Protocol != bmc.Redfish || !ipmi.closed {
			t.Errorf("%+v", r)
		}
	})
}
