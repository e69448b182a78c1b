package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// EventQuery says which events to read.
type EventQuery struct {
	Since    uint64
	Selector string   // empty means all nodes, and what is about no node
	Kinds    []string // none means all
}

func (q EventQuery) values() url.Values {
	v := url.Values{"since": {strconv.FormatUint(q.Since, 10)}}
	if q.Selector != "" {
		v.Set("selector", q.Selector)
	}
	if len(q.Kinds) > 0 {
		v.Set("kind", strings.Join(q.Kinds, ","))
	}
	return v
}

// Events gives the log since N, as far as it goes.
func (c *Client) Events(ctx context.Context, since uint64) iter.Seq2[site.Event, error] {
	return c.QueryEvents(ctx, EventQuery{Since: since})
}

// QueryEvents gives what the log has of a query.
func (c *Client) QueryEvents(ctx context.Context, q EventQuery) iter.Seq2[site.Event, error] {
	return func(yield func(site.Event, error) bool) {
		for {
			var page []site.Event
			if err := c.do(ctx, http.MethodGet, "/api/v1/events", q.values(), nil, &page); err != nil {
				yield(site.Event{}, err)
				return
			}
			if len(page) == 0 {
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
				q.Since = e.Seq
			}
		}
	}
}

// Follow gives the log since N and then each event as it happens, until ctx
// ends or the daemon goes away.
func (c *Client) Follow(ctx context.Context, since uint64) iter.Seq2[site.Event, error] {
	return c.FollowQuery(ctx, EventQuery{Since: since})
}

// FollowQuery is Follow for some of the events.
func (c *Client) FollowQuery(ctx context.Context, q EventQuery) iter.Seq2[site.Event, error] {
	return stream[site.Event](ctx, c, "/api/v1/events", q.values(), "an event")
}

// stream follows server-sent events, whose data are each a T, until ctx ends
// or the daemon goes away. What names one of them in errors.
func stream[T any](ctx context.Context, c *Client, path string, query url.Values, what string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		resp, err := c.send(ctx, http.MethodGet, path, query, nil, "text/event-stream")
		if err != nil {
			yield(none, err)
			return
		}
		defer func() { _ = resp.Body.Close() }()
		lines := bufio.NewReader(resp.Body)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				if ctx.Err() == nil {
					yield(none, fmt.Errorf("the daemon went away: %w", errors.Join(ErrNoDaemon, err)))
				}
				return
			}
			data, ok := strings.CutPrefix(line, "data: ")
			if !ok {
				continue
			}
			var e T
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				yield(none, fmt.Errorf("reading %s: %w", what, err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// Log copies the whole log, as it is at one moment.
func (c *Client) Log(ctx context.Context, to io.Writer) error {
	resp, err := c.send(ctx, http.MethodGet, "/api/v1/log", nil, nil, "application/octet-stream")
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(to, resp.Body); err != nil {
		return fmt.Errorf("copying the daemon's log: %w", err)
	}
	return nil
}
