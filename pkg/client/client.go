// Package client is the typed client of the operator side. The CLI, the demo
// and the tests use it; it never reads the state directory.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"

	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// Client talks to one daemon.
type Client struct {
	http *http.Client
	base string
}

// Unix reaches a daemon through its socket.
func Unix(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}
	return &Client{http: &http.Client{Transport: &http.Transport{DialContext: dial}}, base: "http://rackseed"}
}

// URL reaches a daemon through its operator listener.
func URL(base string) *Client { return &Client{http: &http.Client{}, base: base} }

// Handler reaches an operator side in this process, for commands that work
// on a state directory that no daemon holds.
func Handler(h http.Handler) *Client {
	return &Client{http: &http.Client{Transport: inProcess{h}}, base: "http://rackseed"}
}

// ErrNoDaemon means that nobody listens where the daemon should.
var ErrNoDaemon = errors.New("no daemon is running")

// Error is a problem that the daemon reported.
type Error struct{ view.Problem }

func (e *Error) Error() string { return e.Detail }

// do sends a request and decodes the JSON that comes back.
func (c *Client) do(ctx context.Context, method, path string, query url.Values, body io.Reader, into any) error {
	resp, err := c.send(ctx, method, path, query, body, "application/json")
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if into == nil {
		return nil
	}
	if text, ok := into.(*string); ok {
		data, err := io.ReadAll(resp.Body)
		*text = string(data)
		return err
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("reading the daemon's answer to %s %s: %w", method, path, err)
	}
	return nil
}

// send gives a successful response, whose body the caller closes.
func (c *Client) send(ctx context.Context, method, path string, query url.Values, body io.Reader, accept string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path+"?"+query.Encode(), body)
	if err != nil {
		return nil, fmt.Errorf("asking the daemon: %w", err)
	}
	req.Header.Set("Accept", accept)
	switch body.(type) {
	case nil:
	case *bytes.Reader:
		req.Header.Set("Content-Type", "application/json")
	default:
		req.Header.Set("Content-Type", "application/octet-stream") // read as it comes
	}
	resp, err := c.http.Do(req)
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT) {
		return nil, ErrNoDaemon
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("asking the daemon: %w: run this as the user that runs the daemon, or with sudo", err)
	}
	if err != nil {
		return nil, fmt.Errorf("asking the daemon: %w", err)
	}
	if resp.StatusCode < 400 {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	problem := &Error{}
	data, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if json.Unmarshal(data, &problem.Problem) != nil || problem.Detail == "" {
		return nil, fmt.Errorf("the daemon answered %s to %s %s: %s", resp.Status, method, path, bytes.TrimSpace(data))
	}
	return nil, problem
}

func (c *Client) post(ctx context.Context, path string, request, into any) error {
	data, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("writing the request: %w", err)
	}
	return c.do(ctx, http.MethodPost, path, nil, bytes.NewReader(data), into)
}

// Status is the daemon at a glance.
func (c *Client) Status(ctx context.Context) (st view.Status, err error) {
	return st, c.do(ctx, http.MethodGet, "/api/v1/status", nil, nil, &st)
}

// Nodes lists the machines that a selector picks; without one, all of them
// and the strangers.
func (c *Client) Nodes(ctx context.Context, selector string) (nodes []view.Node, err error) {
	query := url.Values{}
	if selector != "" {
		query.Set("selector", selector)
	}
	return nodes, c.do(ctx, http.MethodGet, "/api/v1/nodes", query, nil, &nodes)
}

// Node is one machine, by name or MAC.
func (c *Client) Node(ctx context.Context, name string) (n view.Node, err error) {
	return n, c.do(ctx, http.MethodGet, "/api/v1/nodes/"+url.PathEscape(name), nil, nil, &n)
}

// Explain says what a node or MAC would be told now.
func (c *Client) Explain(ctx context.Context, who string) (e view.Explanation, err error) {
	return e, c.do(ctx, http.MethodGet, "/api/v1/explain/"+url.PathEscape(who), nil, nil, &e)
}

// ExplainAt says what a node or MAC would have been told behind an event.
func (c *Client) ExplainAt(ctx context.Context, who string, seq uint64) (e view.Explanation, err error) {
	query := url.Values{"at": {strconv.FormatUint(seq, 10)}}
	return e, c.do(ctx, http.MethodGet, "/api/v1/explain/"+url.PathEscape(who), query, nil, &e)
}

// Profile says what a node must be, and where each value came from.
func (c *Client) Profile(ctx context.Context, node string) (p view.Profile, err error) {
	return p, c.do(ctx, http.MethodGet, "/api/v1/nodes/"+url.PathEscape(node)+"/profile", nil, nil, &p)
}

// Render writes one document of a node.
func (c *Client) Render(ctx context.Context, node, as string, secrets bool) (text string, err error) {
	query := url.Values{"as": {as}, "secrets": {strconv.FormatBool(secrets)}}
	return text, c.do(ctx, http.MethodGet, "/api/v1/nodes/"+url.PathEscape(node)+"/render", query, nil, &text)
}

// Export gives the inventories of one kind for the plan in force.
func (c *Client) Export(ctx context.Context, kind string) (e view.Export, err error) {
	return e, c.do(ctx, http.MethodGet, "/api/v1/export/"+url.PathEscape(kind), nil, nil, &e)
}

// Plan checks a plan and, unless dryRun, applies it.
func (c *Client) Plan(ctx context.Context, name string, req view.PlanRequest, by string, dryRun bool) (r view.PlanResult, err error) {
	query := url.Values{"name": {name}, "by": {by}, "dry_run": {strconv.FormatBool(dryRun)}}
	data, err := json.Marshal(req)
	if err != nil {
		return r, fmt.Errorf("writing the request: %w", err)
	}
	return r, c.do(ctx, http.MethodPut, "/api/v1/plan", query, bytes.NewReader(data), &r)
}

// Arm arms machines, or says what that would mean.
func (c *Client) Arm(ctx context.Context, req view.ArmRequest) (r view.ArmResult, err error) {
	return r, c.post(ctx, "/api/v1/arm", req, &r)
}

// Disarm takes armings back.
func (c *Client) Disarm(ctx context.Context, req view.ArmRequest) (r view.ArmResult, err error) {
	return r, c.post(ctx, "/api/v1/disarm", req, &r)
}

// Images lists the image library.
func (c *Client) Images(ctx context.Context) (list []site.Image, err error) {
	return list, c.do(ctx, http.MethodGet, "/api/v1/images", nil, nil, &list)
}

// RemoveImage takes an image out of the library.
func (c *Client) RemoveImage(ctx context.Context, name string) error {
	return c.do(ctx, http.MethodDelete, "/api/v1/images/"+url.PathEscape(name), nil, nil, nil)
}

// AddImage has the daemon take a medium into its library.
func (c *Client) AddImage(ctx context.Context, req view.ImageRequest, progress func(done, total int64)) (view.ImageResult, error) {
	data, err := json.Marshal(req)
	if err != nil {
		return view.ImageResult{}, fmt.Errorf("writing the request: %w", err)
	}
	resp, err := c.send(ctx, http.MethodPost, "/api/v1/images", nil, bytes.NewReader(data), "application/x-ndjson")
	if err != nil {
		return view.ImageResult{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	last, err := imageLines(resp.Body, progress)
	if err != nil || last.Image == nil {
		return view.ImageResult{}, err
	}
	return *last.Image, nil
}

// VerifyImage has the daemon hash an image again. Nil means that it is what
// was added.
func (c *Client) VerifyImage(ctx context.Context, name string, progress func(done, total int64)) error {
	resp, err := c.send(ctx, http.MethodPost, "/api/v1/images/"+url.PathEscape(name)+"/verify", nil, nil, "application/x-ndjson")
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = imageLines(resp.Body, progress)
	return err
}

// imageLines follows the progress up to the last line.
func imageLines(body io.Reader, progress func(done, total int64)) (view.ImageLine, error) {
	lines := json.NewDecoder(body)
	for {
		var line view.ImageLine
		if err := lines.Decode(&line); err != nil {
			return line, fmt.Errorf("the daemon went away while it read the medium: %w", err)
		}
		switch {
		case line.Problem != nil:
			return line, &Error{*line.Problem}
		case line.Image != nil, line.Verified:
			return line, nil
		default:
			progress(line.Done, line.Total)
		}
	}
}
