package main

import (
	"context"

	"github.com/rackseed/rackseed/pkg/flight"
)

// maxCatchUp bounds how far back the log is read for timelines after a start
// without a recorder.
const maxCatchUp = 20_000

// recordLog puts the events of the site's log into the timelines, from where
// the last daemon left off.
func (c *core) recordLog(ctx context.Context) error {
	since := c.flight.Logged()
	if last := c.ledger.State().Seq; since > last {
		since = last // the log was restored from a backup
	} else if last-since > maxCatchUp {
		since = last - maxCatchUp
	}
	planned := func(name string) bool {
		_, ok := c.ledger.State().Machine(name)
		return ok
	}
	for e, err := range c.ledger.Follow(ctx, since) {
		if err != nil {
			c.log.Error("events do not reach the flight recorder any more", "seq", since, "error", err)
			return nil
		}
		since = e.Seq
		if entry, ok := flight.FromEvent(e, planned); ok {
			c.flight.Record(entry)
		}
	}
	return nil
}

// recordBMC is for what is observed of a machine's BMC beside its jobs.
func (c *core) recordBMC(node, what, detail string) {
	c.flight.Record(flight.Entry{At: c.ledger.Now(), Source: flight.BMC, Node: node, What: what, Detail: detail})
}
