package client

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/rackseed/rackseed/pkg/flight"
)

func timelineOf(node string) string { return "/api/v1/nodes/" + url.PathEscape(node) + "/timeline" }

func sinceQuery(since time.Time) url.Values {
	query := url.Values{}
	if !since.IsZero() {
		query.Set("since", since.UTC().Format(time.RFC3339))
	}
	return query
}

// Timeline gives what was recorded of a machine since a time, with an account
// of the time of one attempt; attempt zero is the newest.
func (c *Client) Timeline(ctx context.Context, node string, since time.Time, attempt int) (t flight.Timeline, err error) {
	query := sinceQuery(since)
	if attempt > 0 {
		query.Set("attempt", strconv.Itoa(attempt))
	}
	return t, c.do(ctx, http.MethodGet, timelineOf(node), query, nil, &t)
}

// FollowTimeline gives what was recorded of a machine since a time and then
// each entry as it is recorded, until ctx ends or the daemon goes away.
func (c *Client) FollowTimeline(ctx context.Context, node string, since time.Time) iter.Seq2[flight.Entry, error] {
	return stream[flight.Entry](ctx, c, timelineOf(node), sinceQuery(since), "an entry")
}

// Pcap writes the packets of a machine as a pcap file; those of one attempt,
// or, with attempt zero, all that are kept.
func (c *Client) Pcap(ctx context.Context, w io.Writer, node string, attempt int) error {
	query := url.Values{}
	if attempt > 0 {
		query.Set("attempt", strconv.Itoa(attempt))
	}
	resp, err := c.send(ctx, http.MethodGet, "/api/v1/nodes/"+url.PathEscape(node)+"/pcap", query, nil, "application/vnd.tcpdump.pcap")
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("reading the packets of %s: %w", node, err)
	}
	return nil
}

// Batch says where the time of machines went; without a selector, of all.
func (c *Client) Batch(ctx context.Context, selector string) (b flight.Batch, err error) {
	query := url.Values{}
	if selector != "" {
		query.Set("selector", selector)
	}
	return b, c.do(ctx, http.MethodGet, "/api/v1/batch", query, nil, &b)
}
