package batch

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// player is a machine that boots what is in its virtual drive, and its BMC.
type player struct {
	bmc.Driver
	boots  bool          // from the drive
	runs   time.Duration // until it restarts by itself
	goes   bool          // off, in place of a restart
	silent bool          // the BMC tells no last reset
	keeps  bool          // the override, for all boots

	power   bmc.PowerState
	media   bmc.Media
	boot    bmc.Boot
	started time.Time
	fetched []time.Time
	open    int
	log     []string
}

func (p *player) Known() bmc.Known { return bmc.Known{Protocol: bmc.Redfish} }
func (p *player) Ways() []bmc.Way  { return []bmc.Way{{Name: "redfish"}} }

func (p *player) ended() bool {
	return !p.started.IsZero() && p.runs > 0 && time.Since(p.started) >= p.runs
}

func (p *player) Power(context.Context) (bmc.PowerState, error) {
	if p.ended() && p.goes {
		p.power = bmc.PowerOff
	}
	return p.power, nil
}

func (p *player) Mark(context.Context) (bmc.Mark, error) {
	switch {
	case p.silent:
		return bmc.Mark{}, nil
	case p.ended():
		return bmc.Mark{Reset: p.started.Add(p.runs).String()}, nil
	default:
		return bmc.Mark{Reset: p.started.String(), Progress: time.Now().String()}, nil
	}
}

func (p *player) SetPower(_ context.Context, a bmc.PowerAction) error {
	p.log = append(p.log, string(a))
	if a == bmc.ActionOff {
		p.power = bmc.PowerOff
		return nil
	}
	p.power, p.started = bmc.PowerOn, time.Now()
	if p.boots && p.media.Inserted && p.boot.Device == bmc.DeviceCD {
		p.fetched = append(p.fetched, time.Now())
	}
	if !p.keeps {
		p.boot = bmc.Boot{Device: bmc.DeviceNone}
	}
	return nil
}

func (p *player) Boot(context.Context) (bmc.Boot, error) { return p.boot, nil }
func (p *player) SetBoot(_ context.Context, want bmc.Boot, _ bmc.Way) error {
	p.log = append(p.log, want.String())
	want.Persistent = p.keeps
	p.boot = want
	return nil
}

func (p *player) Media(context.Context) (bmc.Media, error) { return p.media, nil }
func (p *player) InsertMedia(_ context.Context, url string) error {
	p.log = append(p.log, "insert")
	p.media = bmc.Media{Inserted: true, URL: url}
	return nil
}

func (p *player) EjectMedia(context.Context) error {
	p.log = append(p.log, "eject")
	p.media = bmc.Media{}
	return nil
}

func (p *player) Close(context.Context) error {
	p.open--
	return nil
}

func TestMediaBoot(t *testing.T) {
	const url, cycle = "http://192.0.2.1/images/ab.iso", "insert, cd once, off, on"
	for _, tt := range []struct {
		name   string
		p      player
		past   []bmc.PowerAction
		medium string
		result string
		log    string
	}{
		{
			name: "it restarts", p: player{boots: true, runs: 10 * time.Minute},
			result: "done: after the power cycle 10.21.0.11 came for it; the machine restarted: ejected", log: cycle + ", eject",
		},
		{
			name: "it goes off", p: player{boots: true, runs: 10 * time.Minute, goes: true},
			result: "done: after the power cycle 10.21.0.11 came for it; the machine went off: ejected", log: cycle + ", eject",
		},
		{
			name: "nothing shows an end", p: player{boots: true, silent: true, runs: 10 * time.Minute},
			result: "done: after the power cycle 10.21.0.11 came for it; 1h0m0s have passed: ejected", log: cycle + ", eject",
		},
		{
			name: "it does not boot it", p: player{},
			result: "failed: nobody read the medium within 5m0s of the power cycle: the machine did not boot from it; " + url + " is still in the drive: `rackseed media eject` takes it out", log: cycle,
		},
		{
			name: "a medium of another server", medium: "http://198.51.100.1/x.iso", p: player{boots: true, runs: time.Minute},
			result: "done: whether it booted from it is not known: the medium is not on this server; the machine restarted: ejected", log: cycle + ", eject",
		},
		{
			name: "what a BMC would keep for all boots is taken back", p: player{boots: true, keeps: true, runs: time.Minute},
			result: "done: after the power cycle 10.21.0.11 came for it; the machine restarted: ejected; the BMC would have kept it for all boots: taken back",
			log:    "insert, cd once, off, on, eject, no override",
		},
		{
			name: "an interrupted job cycles no second time", past: []bmc.PowerAction{bmc.ActionOff, bmc.ActionOn},
			p:      player{boots: true, media: bmc.Media{Inserted: true, URL: url}, runs: 10 * time.Minute, fetched: []time.Time{{}}, started: time.Unix(1, 0)},
			result: "done: after the power cycle 10.21.0.11 came for it; the machine restarted: ejected", log: "eject",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := tt.p
				p.power = bmc.PowerOn
				if len(tt.past) > 0 {
					p.started, p.fetched = time.Now(), []time.Time{time.Now()}
				}
				medium := tt.medium
				if medium == "" {
					medium = "rocky9"
				}
				most := 0
				o := Options{
					Dial: func(context.Context, bmc.Target) (bmc.Driver, error) {
						p.open++
						most = max(most, p.open)
						return &p, nil
					},
					Past: map[string]Past{"n1": {Issued: tt.past}},
					Around: Around{
						Image: func(_ bmc.Target, name string) (string, error) {
							if name != "rocky9" {
								return "", errors.New("no such image")
							}
							return url, nil
						},
						Fetches: func(u string, since time.Time) ([]Fetch, bool) {
							if u != url {
								return nil, false
							}
							for _, at := range p.fetched {
								if !at.Before(since) {
									return []Fetch{{From: "10.21.0.11", Times: 1}}, true
								}
							}
							return nil, true
						},
					},
				}
				r := Run(t.Context(), o, []bmc.Target{{Name: "n1", Address: "n1"}}, MediaBoot(medium, 0), nil)[0]
				if diff := cmp.Diff([]string{tt.result, tt.log}, []string{string(r.Phase) + ": " + r.Message, strings.Join(p.log, ", ")}); diff != "" {
					t.Error(diff)
				}
				if p.open != 0 || most > 1 {
					t.Errorf("%d sessions are open, and %d were at once", p.open, most)
				}
			})
		})
	}
}

// TestMediaBootIsCancelled: the medium that is left behind is named.
func TestMediaBootIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := player{power: bmc.PowerOn, silent: true}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Minute, cancel)
		o := Options{Dial: func(context.Context, bmc.Target) (bmc.Driver, error) { p.open++; return &p, nil }}
		r := Run(ctx, o, []bmc.Target{{Name: "n1", Address: "n1"}}, MediaBoot("http://192.0.2.1/x.iso", 0), nil)[0]
		if r.OK || r.Message != "cancelled; http://192.0.2.1/x.iso is still in the drive: `rackseed media eject` takes it out" || p.open != 0 {
			t.Errorf("%+v; %+v", r, p.media)
		}
	})
}
