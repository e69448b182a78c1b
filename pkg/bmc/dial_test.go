package bmc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestDialFindsTheProtocol(t *testing.T) {
	unreachable := fmt.Errorf("connection refused: %w", ErrUnreachable)
	for _, tt := range []struct {
		name    string
		target  Target
		redfish error // what it says; nil opens a session
		ipmi    error
		tried   string
		want    error
	}{
		{"Redfish first", Target{Protocol: Auto}, nil, nil, "redfish", nil},
		{"the zero value is auto", Target{}, nil, nil, "redfish", nil},
		{"then IPMI", Target{Protocol: Auto}, unreachable, nil, "redfish ipmi", nil},
		{"no Redfish at that web server", Target{Protocol: Auto}, fmt.Errorf("404: %w", ErrUnsupported), nil, "redfish ipmi", nil},
		{"what answered before is first", Target{Protocol: Auto, Known: Known{Protocol: IPMI}}, nil, nil, "ipmi", nil},
		{"and not for ever", Target{Protocol: Auto, Known: Known{Protocol: IPMI}}, nil, unreachable, "ipmi redfish", nil},
		{"a wrong password is not tried again", Target{Protocol: Auto}, ErrLogin, nil, "redfish", ErrLogin},
		{"a strange certificate is an answer", Target{Protocol: Auto}, ErrCertificate, nil, "redfish", ErrCertificate},
		{"so is one that no CA knows", Target{Protocol: Auto}, ErrUntrusted, nil, "redfish", ErrUntrusted},
		{"and no free session", Target{Protocol: Auto}, ErrBusy, nil, "redfish", ErrBusy},
		{"nobody is there", Target{Protocol: Auto}, unreachable, unreachable, "redfish ipmi", ErrUnreachable},
		{"the password is wrong for the second", Target{Protocol: Auto}, unreachable, ErrLogin, "redfish ipmi", ErrLogin},
		{"Redfish by name", Target{Protocol: Redfish}, unreachable, nil, "redfish", ErrUnreachable},
		{"IPMI by name", Target{Protocol: IPMI}, nil, nil, "ipmi", nil},
		{"a URL is Redfish's", Target{Protocol: Auto, Address: "https://10.0.0.1", Known: Known{Protocol: IPMI}}, unreachable, nil, "redfish", ErrUnreachable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var tried []string
			answer := func(p Protocol, err error) Dialer {
				return func(context.Context, Target) (Driver, error) {
					tried = append(tried, string(p))
					if err != nil {
						return nil, err
					}
					return &board{}, nil
				}
			}
			d := Dialers{Redfish: answer(Redfish, tt.redfish), IPMI: answer(IPMI, tt.ipmi)}
			driver, err := d.Dial(context.Background(), tt.target)
			if !errors.Is(err, tt.want) || (driver == nil) != (err != nil) {
				t.Errorf("%v, %v", driver, err)
			}
			if got := strings.Join(tried, " "); got != tt.tried {
				t.Errorf("it tried %s", got)
			}
		})
	}
}

func TestDialLeavesTimeForTheSecond(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	var first, second time.Duration
	left := func(ctx context.Context) time.Duration {
		end, _ := ctx.Deadline()
		return time.Until(end)
	}
	d := Dialers{
		Redfish: func(ctx context.Context, _ Target) (Driver, error) { first = left(ctx); return nil, ErrUnreachable },
		IPMI:    func(ctx context.Context, _ Target) (Driver, error) { second = left(ctx); return &board{}, nil },
		Probe:   2 * time.Hour,
	}
	if _, err := d.Dial(ctx, Target{}); err != nil {
		t.Fatal(err)
	}
	if first > 30*time.Minute || second < 59*time.Minute {
		t.Errorf("the first had %s, the second %s", first, second)
	}
	d.Probe = time.Minute
	if _, err := d.Dial(ctx, Target{}); err != nil || first > time.Minute {
		t.Errorf("%v, the first had %s", err, first)
	}
}

func TestDialRefusesNonsense(t *testing.T) {
	d := Dialers{IPMI: func(context.Context, Target) (Driver, error) { return &board{}, nil }}
	if _, err := d.Dial(context.Background(), Target{Protocol: "telnet", Address: "h"}); err == nil || !strings.Contains(err.Error(), "telnet") {
		t.Errorf("got %v", err)
	}
	if _, err := d.Dial(context.Background(), Target{Protocol: Redfish}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("a protocol that is not there: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.Redfish = func(context.Context, Target) (Driver, error) { cancel(); return nil, ErrUnreachable }
	d.IPMI = func(context.Context, Target) (Driver, error) { t.Error("it goes on though cancelled"); return nil, nil }
	if _, err := d.Dial(ctx, Target{}); !errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}
