package main

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/view"
)

// Whoever watches an install is told, once, that its daemon is gone.
func TestAWatchSaysThatTheDaemonIsGone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	said := &cancelling{cancel: cancel}
	_, err := followPatiently(ctx, client.Unix(filepath.Join(t.TempDir(), "no.sock")), "j-1", func(view.JobChange) {}, said)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	if n := bytes.Count(said.Bytes(), []byte("the daemon is gone")); n != 1 {
		t.Errorf("said %d times: %s", n, said)
	}
}

// cancelling gives the watch time for a second look once something was said.
type cancelling struct {
	bytes.Buffer
	cancel func()
}

func (c *cancelling) Write(p []byte) (int, error) {
	time.AfterFunc(1500*time.Millisecond, c.cancel)
	return c.Buffer.Write(p)
}
