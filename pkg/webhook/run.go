package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/rackseed/rackseed/pkg/site"
)

// Run tells the webhooks of the plan until ctx ends. Each has a follower of
// its own: one that does not answer keeps nobody else waiting. When a plan
// changes them, they begin anew from where they were.
func (s *Sender) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := s.untilPlanned(ctx); err != nil {
			return err
		}
	}
	return nil
}

// untilPlanned runs the followers until another plan changes the webhooks.
func (s *Sender) untilPlanned(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	state := s.Ledger.State()
	hooks := state.Settings.Webhooks
	urls := make([]string, 0, len(hooks))
	for _, w := range hooks {
		urls = append(urls, w.URL)
	}
	if err := s.Positions.Keep(urls); err != nil {
		s.Log.Warn("positions of webhooks that are gone are kept", "error", err)
	}
	for _, w := range hooks {
		running.Go(func() { s.follow(ctx, w, state) })
	}
	for e, err := range s.Ledger.Follow(ctx, state.Seq) {
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("following the log for webhooks: %w", err)
		}
		if p, ok := e.Body.(site.PlanApplied); ok && !sameHooks(hooks, p.Settings.Webhooks) {
			return nil
		}
	}
	<-ctx.Done()
	return nil
}

func sameHooks(a, b []site.Webhook) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

// follow tells one webhook. A new one begins with the plan that brought it.
func (s *Sender) follow(ctx context.Context, w site.Webhook, state *site.State) {
	log := s.Log.With("webhook", w.Place())
	since, known := s.Positions.Get(w.URL)
	if !known || since > state.Seq { // beyond the end: another log
		since = state.PlanSeq
		s.keep(w, since)
	}
	open := s.Client
	if open == nil {
		open = NewClient
	}
	client, err := open(w)
	if err != nil {
		log.Error("a webhook is told nothing until its plan is applied again", "error", err)
		return
	}
	defer client.CloseIdleConnections()
	for e, err := range s.Ledger.Follow(ctx, since) {
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			log.Error("a webhook is not told any more", "error", err)
			return
		}
		turn, ok := site.HookOf(e.Body)
		if !ok || !w.Wants(turn) {
			continue
		}
		if !s.deliver(ctx, client, w, messageOf(s.Ledger.State(), e, turn)) {
			return
		}
		s.keep(w, e.Seq)
	}
}

// keep notes a position. Where that fails the receiver is told again after a
// restart, which it recognises by the event's ID.
func (s *Sender) keep(w site.Webhook, seq uint64) {
	if err := s.Positions.Set(w.URL, seq); err != nil {
		s.Log.Warn("how far a webhook was told was not kept", "webhook", w.Place(), "seq", seq, "error", err)
	}
}
