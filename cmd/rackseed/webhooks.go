package main

import (
	"context"
	"path/filepath"

	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/webhook"
)

// tellWebhooks tells the receivers that the plan names. What is wrong with
// them never keeps a machine from being installed.
func (d *daemon) tellWebhooks(ctx context.Context) error {
	positions, err := webhook.OpenPositions(filepath.Join(d.core.dir, "webhooks.json"))
	if err != nil {
		d.log.Error("no webhook is told", "error", err)
		return nil
	}
	sender := &webhook.Sender{
		Ledger: d.core.ledger, Positions: positions, Secret: passwords{d.core.box}.reveal, Log: d.log,
		Delivered: func(_ string, e site.WebhookEvent, err error) { d.core.metrics.Webhook(e, err) },
	}
	if err := sender.Run(ctx); err != nil {
		d.log.Error("no webhook is told any more", "error", err)
	}
	return nil
}
