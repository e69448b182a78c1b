package client

import (
	"context"
	"net/http"
)

// ResumeDHCP has the daemon give addresses again, if no other DHCP server
// answers any more. It takes some 12 seconds.
func (c *Client) ResumeDHCP(ctx context.Context) error {
	return c.do(ctx, http.MethodPost, "/api/v1/dhcp/resume", nil, nil, nil)
}
