package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Report copies the hand-over report: format is html, xlsx or json, lang en
// or zh.
func (c *Client) Report(ctx context.Context, to io.Writer, selector, format, lang string) error {
	query := url.Values{"format": {format}, "lang": {lang}}
	if selector != "" {
		query.Set("selector", selector)
	}
	resp, err := c.send(ctx, http.MethodGet, "/api/v1/report", query, nil, "*/*")
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(to, resp.Body); err != nil {
		return fmt.Errorf("reading the report: %w", err)
	}
	return nil
}
