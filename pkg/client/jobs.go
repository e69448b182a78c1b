package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/rackseed/rackseed/pkg/view"
)

// StartJob begins a job against BMCs, or has one go on.
func (c *Client) StartJob(ctx context.Context, req view.JobRequest) (j view.Job, err error) {
	return j, c.post(ctx, "/api/v1/jobs", req, &j)
}

// Jobs lists the jobs, the newest first, without their results.
func (c *Client) Jobs(ctx context.Context) (list []view.Job, err error) {
	return list, c.do(ctx, http.MethodGet, "/api/v1/jobs", nil, nil, &list)
}

// Job is one job with its results.
func (c *Client) Job(ctx context.Context, id string) (j view.Job, err error) {
	return j, c.do(ctx, http.MethodGet, "/api/v1/jobs/"+url.PathEscape(id), nil, nil, &j)
}

// CancelJob has a job begin no more machines.
func (c *Client) CancelJob(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, "/api/v1/jobs/"+url.PathEscape(id), nil, nil, nil)
}

// FollowJob tells the changes of a job from its beginning, and gives the job
// once it has ended.
func (c *Client) FollowJob(ctx context.Context, id string, tell func(view.JobChange)) (view.Job, error) {
	resp, err := c.send(ctx, http.MethodGet, "/api/v1/jobs/"+url.PathEscape(id), nil, nil, "application/x-ndjson")
	if err != nil {
		return view.Job{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	for lines := json.NewDecoder(resp.Body); ; {
		var change view.JobChange
		if err := lines.Decode(&change); err != nil {
			if ctx.Err() != nil {
				return view.Job{}, ctx.Err()
			}
			return view.Job{}, fmt.Errorf("the daemon went away: %w", errors.Join(ErrNoDaemon, err))
		}
		if change.Job != nil {
			return *change.Job, nil
		}
		tell(change)
	}
}
