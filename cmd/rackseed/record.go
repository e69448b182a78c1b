package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/bmc/console"
	"github.com/rackseed/rackseed/pkg/bmc/ipmi"
	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/flight"
	"github.com/rackseed/rackseed/pkg/view"
)

// consoles records consoles into the timelines of their machines.
type consoles struct{ *console.Recorder }

// Recordings is what is recorded now.
func (c consoles) Recordings() []view.Recording {
	var list []view.Recording
	for _, r := range c.List() {
		list = append(list, view.Recording{Node: r.Node, Since: r.Since, Until: r.Until, Lines: r.Lines, State: r.State})
	}
	return list
}

// longestInstall bounds the recording of a console whose job forgets it.
const longestInstall = 8 * time.Hour

// during records a console until stop. Somebody who asked for its recording
// before, or for a longer one, keeps it.
func (c consoles) during(node string) (stop func(), err error) {
	recorded := func() (console.Recording, bool) {
		for _, r := range c.List() {
			if r.Node == node {
				return r, true
			}
		}
		return console.Recording{}, false
	}
	if _, already := recorded(); already {
		return func() {}, nil
	}
	if err := c.Start(node, longestInstall); err != nil {
		return nil, err
	}
	mine, _ := recorded()
	return func() {
		if now, ok := recorded(); ok && now.Since.Equal(mine.Since) && now.Until.Equal(mine.Until) {
			c.Stop(node)
		}
	}, nil
}

// consoleRecorder takes no console from a person: somebody who looks at one
// records it, if it is to be recorded.
func (c *core) consoleRecorder() consoles {
	line := func(node, text string) {
		entry := flight.Entry{At: c.ledger.Now(), Source: flight.Console, Node: node, What: "line", Detail: text}
		if m, ok := c.ledger.State().Machine(node); ok {
			entry.Attempt = m.Attempt.Number
		}
		c.flight.Record(entry)
	}
	return consoles{console.New(console.Config{
		Dial: c.dialConsole, Tell: line,
		Say: func(node, what string) {
			c.flight.Record(flight.Entry{At: c.ledger.Now(), Source: flight.BMC, Node: node, What: "console", Detail: what})
		},
	})}
}

func (c *core) dialConsole(ctx context.Context, node string) (bmc.Driver, error) {
	s := c.ledger.State()
	m, ok := s.Machine(node)
	if !ok {
		return nil, fmt.Errorf("the plan has no node %s any more", node)
	}
	t, err := targetOf(s, m, passwords{box: c.box}.reveal, false)
	if err != nil {
		return nil, err
	}
	t.Protocol, t.Known.CipherSuite = bmc.IPMI, m.BMC.CipherSuite
	return ipmi.Dial(ctx, t, ipmi.Options{Shy: true})
}

// tape sends what a person sees to the daemon, which keeps it. It never holds
// up the console: what the daemon does not take in time is left out.
type tape struct {
	chunks chan []byte
	done   chan error
	lost   int
}

// tapeOf is a tape for the timeline of a node.
func tapeOf(ctx context.Context, g *globals, node string) *tape {
	t := &tape{chunks: make(chan []byte, 256), done: make(chan error, 1)}
	reader, writer := io.Pipe()
	go func() {
		for chunk := range t.chunks {
			_, _ = writer.Write(chunk) // fails once the daemon is gone, which done says
		}
		_ = writer.Close()
	}()
	go func() {
		_, err := client.Unix(g.socket()).CopyConsole(context.WithoutCancel(ctx), node, reader)
		_ = reader.CloseWithError(io.ErrClosedPipe)
		t.done <- err
	}()
	return t
}

func (t *tape) Write(p []byte) (int, error) {
	select {
	case t.chunks <- slices.Clone(p):
	default:
		t.lost += len(p)
	}
	return len(p), nil
}

// end waits until the daemon has what was sent.
func (t *tape) end() error {
	close(t.chunks)
	var err error
	select {
	case err = <-t.done:
	case <-time.After(10 * time.Second):
		err = errors.New("the daemon does not take it")
	}
	switch {
	case err != nil:
		return fmt.Errorf("recording the console: %w", err)
	case t.lost > 0:
		return fmt.Errorf("recording the console: %d bytes are left out, because the daemon was too slow", t.lost)
	}
	return nil
}

// unattended has the daemon begin or end a recording.
func (f *consoleFlags) unattended(c *cobra.Command, g *globals, args []string) error {
	if f.direct.bmcs != "" || f.plan != "" {
		return usageError("the daemon records the consoles of nodes in its plan: give a NODE")
	}
	return withDaemon(c.Context(), g, func(cl *client.Client) error {
		if f.stop {
			return cl.StopRecording(c.Context(), args[0])
		}
		if err := cl.StartRecording(c.Context(), args[0], f.recordFor); err != nil {
			return err
		}
		_, err := fmt.Fprintf(c.OutOrStdout(), "The console of %s is recorded for %s: see `rackseed node show %s --timeline`.\n", args[0], f.recordFor, args[0])
		return err
	})
}
