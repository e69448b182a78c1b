package bmc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Dialers opens sessions in one protocol or the other.
type Dialers struct {
	Redfish Dialer
	IPMI    Dialer

	// Probe is how long the protocol that is tried first may take to answer
	// when there is another; zero means 15 s.
	Probe time.Duration
}

// Dial opens a session by the protocol that the target names. With Auto it is
// what answered before, or Redfish and then IPMI. A BMC that refuses the
// password or shows a strange certificate has answered: the other protocol is
// not tried, because it would be told the same password.
func (d Dialers) Dial(ctx context.Context, t Target) (Driver, error) {
	switch t.Protocol {
	case Redfish:
		return d.open(ctx, Redfish, t)
	case IPMI:
		return d.open(ctx, IPMI, t)
	case Auto, "":
	default:
		return nil, fmt.Errorf("%s: protocol %q is not auto, redfish or ipmi", t.Address, t.Protocol)
	}
	if strings.Contains(t.Address, "://") {
		return d.open(ctx, Redfish, t)
	}
	first, second := Redfish, IPMI
	if t.Known.Protocol == IPMI {
		first, second = IPMI, Redfish
	}
	probe, cancel := context.WithTimeout(ctx, d.patience(ctx))
	driver, err := d.open(probe, first, t)
	cancel()
	if err == nil || ctx.Err() != nil || !(errors.Is(err, ErrUnreachable) || errors.Is(err, ErrUnsupported)) {
		return driver, err
	}
	driver, other := d.open(ctx, second, t)
	if other != nil {
		return nil, fmt.Errorf("%s: %w; %s: %w", first, err, second, other)
	}
	return driver, nil
}

// patience leaves half of the caller's time to the second protocol.
func (d Dialers) patience(ctx context.Context) time.Duration {
	limit := d.Probe
	if limit == 0 {
		limit = 15 * time.Second
	}
	if end, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(end)/2)
	}
	return limit
}

func (d Dialers) open(ctx context.Context, p Protocol, t Target) (Driver, error) {
	dial := d.Redfish
	if p == IPMI {
		dial = d.IPMI
	}
	if dial == nil {
		return nil, fmt.Errorf("%s: %w", p, ErrUnsupported)
	}
	return dial(ctx, t)
}
