package batch

import (
	"context"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// Task is one thing that is done to each BMC.
type Task struct {
	Name      string // in words: power cycle
	Changes   bool   // it is more than a look
	Energizes bool   // it may switch machines on, which the stagger keeps apart
	Takes     time.Duration
	Do        func(ctx context.Context, s *Session) (Outcome, error)
}

// Session is a conversation with one BMC.
type Session struct {
	bmc.Driver
	Target   bmc.Target
	Patience bmc.Patience
	Issued   []bmc.PowerAction // power actions on record from before this conversation

	before func(context.Context, bmc.PowerAction) error
}

// Outcome is what came of a task, in words and as data.
type Outcome struct {
	Message string
	Data    any
	Steps   bmc.Steps
}

// patience leaves room for reading back and for two more tries.
func patience(action bmc.PowerAction) time.Duration {
	if action == bmc.ActionSoft {
		return 7 * time.Minute
	}
	return 4 * time.Minute
}
