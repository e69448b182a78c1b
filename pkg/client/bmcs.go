package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/rackseed/rackseed/pkg/view"
)

// AdoptBMCs gives planned nodes the BMCs that were found to be theirs.
func (c *Client) AdoptBMCs(ctx context.Context, req view.AdoptRequest) (r view.AdoptResult, err error) {
	return r, c.post(ctx, "/api/v1/bmcs", req, &r)
}

// ForgetBMC has a node use again what the plan says of its BMC.
func (c *Client) ForgetBMC(ctx context.Context, node, by string) error {
	return c.do(ctx, http.MethodDelete, "/api/v1/nodes/"+url.PathEscape(node)+"/bmc", url.Values{"by": {by}}, nil, nil)
}

// StartRecording has the daemon record a console for a while.
func (c *Client) StartRecording(ctx context.Context, node string, d time.Duration) error {
	data, err := json.Marshal(view.RecordingRequest{For: d})
	if err != nil {
		return fmt.Errorf("writing the request: %w", err)
	}
	return c.do(ctx, http.MethodPut, "/api/v1/nodes/"+url.PathEscape(node)+"/recording", nil, bytes.NewReader(data), nil)
}

// StopRecording ends it.
func (c *Client) StopRecording(ctx context.Context, node string) error {
	return c.do(ctx, http.MethodDelete, "/api/v1/nodes/"+url.PathEscape(node)+"/recording", nil, nil, nil)
}

// CopyConsole has the daemon record what a person's console session says,
// until the end of in.
func (c *Client) CopyConsole(ctx context.Context, node string, in io.Reader) (r view.Recorded, err error) {
	return r, c.do(ctx, http.MethodPost, "/api/v1/nodes/"+url.PathEscape(node)+"/console", nil, in, &r)
}
