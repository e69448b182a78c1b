package main

import (
	"context"

	"github.com/rackseed/rackseed/pkg/bmc/batch"
	"github.com/rackseed/rackseed/pkg/flight"
	"github.com/rackseed/rackseed/pkg/view"
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
			if ctx.Err() != nil {
				return nil
			}
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

// recordJob puts what a job tries on a machine's BMC into its timeline. Its
// steps and its end are in the site's log.
func (c *core) recordJob(job string, change view.JobChange) {
	e := flight.Entry{At: c.ledger.Now(), Source: flight.BMC, Node: change.Target, Name: job}
	if change.Phase == string(batch.Retrying) {
		e.What, e.Detail = "retry", change.What
		c.flight.Record(e)
	}
	if change.Result == nil {
		return
	}
	for _, step := range change.Result.Steps {
		e.What, e.Detail = "tried", step.What
		if step.Error != "" {
			e.Detail += ": " + step.Error
		}
		c.flight.Record(e)
	}
}
