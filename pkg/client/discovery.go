package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/rackseed/rackseed/pkg/view"
)

// AdoptNode makes a machine that was seen a node of the plan.
func (c *Client) AdoptNode(ctx context.Context, req view.NodeRequest) (n view.Node, err error) {
	return n, c.post(ctx, "/api/v1/nodes", req, &n)
}

// ChangeNode changes an adopted node.
func (c *Client) ChangeNode(ctx context.Context, name string, req view.NodeChange) (n view.Node, err error) {
	data, err := json.Marshal(req)
	if err != nil {
		return n, fmt.Errorf("writing the request: %w", err)
	}
	return n, c.do(ctx, http.MethodPatch, "/api/v1/nodes/"+url.PathEscape(name), nil, bytes.NewReader(data), &n)
}

// RemoveNode takes an adopted node out of the plan, or a stranger off the list.
func (c *Client) RemoveNode(ctx context.Context, name, by string) error {
	return c.do(ctx, http.MethodDelete, "/api/v1/nodes/"+url.PathEscape(name), url.Values{"by": {by}}, nil, nil)
}

// DiscoverNode wants a node looked at when it next boots from the network.
func (c *Client) DiscoverNode(ctx context.Context, name string, req view.DiscoverRequest) (n view.Node, err error) {
	return n, c.post(ctx, "/api/v1/nodes/"+url.PathEscape(name)+"/discover", req, &n)
}

// Cabling compares the cables of nodes with the plan; without a selector, of
// all.
func (c *Client) Cabling(ctx context.Context, selector string) (list []view.Cabling, err error) {
	query := url.Values{}
	if selector != "" {
		query.Set("selector", selector)
	}
	return list, c.do(ctx, http.MethodGet, "/api/v1/cabling", query, nil, &list)
}

// AdoptedNodes are the nodes that no plan file names.
func (c *Client) AdoptedNodes(ctx context.Context) (list view.AdoptedNodes, err error) {
	return list, c.do(ctx, http.MethodGet, "/api/v1/plan/adopted", nil, nil, &list)
}
