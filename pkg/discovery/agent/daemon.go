package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/rackseed/rackseed/pkg/cabling"
	"github.com/rackseed/rackseed/pkg/site"
)

// errGone says that the daemon knows nothing of this boot, any more.
var errGone = errors.New("the daemon does not know this boot")

// daemon is where this boot reports and asks.
type daemon struct {
	base string
	http *http.Client
}

func newDaemon(base string) *daemon {
	return &daemon{base: strings.TrimSuffix(base, "/"), http: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}}
}

func (d *daemon) do(ctx context.Context, method, what string, body []byte) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, d.base+"/"+what, bytes.NewReader(body))
	if err != nil {
		return "", fmt.Errorf("asking the daemon: %w", err)
	}
	resp, err := d.http.Do(req)
	if err != nil {
		return "", fmt.Errorf("asking the daemon: %w", hidden(err))
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	switch {
	case resp.StatusCode == http.StatusNotFound:
		return "", errGone
	case resp.StatusCode >= 300:
		return "", fmt.Errorf("the daemon says %s: %s", resp.Status, bytes.TrimSpace(text))
	case err != nil:
		return "", fmt.Errorf("hearing the daemon: %w", err)
	}
	return string(text), nil
}

// hidden takes the URL, which holds a token, out of an error that consoles show.
func hidden(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

func (d *daemon) tasks(ctx context.Context, what string) (t cabling.Tasks, err error) {
	text, err := d.do(ctx, http.MethodGet, what, nil)
	if err != nil {
		return t, err
	}
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return t, fmt.Errorf("reading what to look at: %w", err)
	}
	return t, nil
}

// send gives what was found to the daemon, and returns its answer.
func (d *daemon) send(ctx context.Context, what string, i site.Inventory) (string, error) {
	data, err := json.Marshal(i)
	if err != nil {
		return "", fmt.Errorf("writing the inventory: %w", err)
	}
	return d.do(ctx, http.MethodPost, what, data)
}
