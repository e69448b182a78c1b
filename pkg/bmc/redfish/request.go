package redfish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/stmcginnis/gofish/common"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// answer is what is left of a reply.
type answer struct {
	status   int
	etag     string
	location string // path of the task monitor or the new resource
	token    string // of the new session
	body     []byte
}

// replay reads a body and puts it back.
func replay(resp *http.Response) ([]byte, error) {
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return body, err
}

// do sends one request, again after a moment if the BMC stumbled and the
// request may be repeated, and again after a login if the session is gone.
func (d *driver) do(ctx context.Context, method, path string, body any, headers map[string]string) (answer, error) {
	var a answer
	send := func() error {
		var err error
		a, err = d.once(ctx, method, path, body, headers)
		return err
	}
	err := d.persist(ctx, method, send)
	if status(err) != http.StatusUnauthorized || d.session == "" {
		return a, err
	}
	if err := d.login(ctx); err != nil {
		return answer{}, fmt.Errorf("logging in again after the session was lost: %w", err)
	}
	return a, d.persist(ctx, method, send)
}

// persist tries three times what may be repeated.
func (d *driver) persist(ctx context.Context, method string, try func() error) error {
	const tries = 3
	for n := 1; ; n++ {
		err := try()
		if err == nil || n == tries || !repeatable(method, err) {
			return err
		}
		if pause(ctx, time.Duration(n)*d.options.Poll/4) != nil {
			return err
		}
	}
}

// repeatable reports whether a request that failed may be sent once more.
// What stumbles here and there is a BMC's web server; one that does not
// answer in time is not asked for three times as long.
func repeatable(method string, err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return false
	}
	var f *failure
	if !errors.As(err, &f) {
		return false
	}
	switch f.status {
	case 0:
		return method != http.MethodPost && errors.Is(err, bmc.ErrUnreachable) && !f.refused
	case http.StatusInternalServerError:
		return method == http.MethodGet
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return method != http.MethodPost
	case http.StatusServiceUnavailable:
		// Nothing was done, by the meaning of the status; a BMC that is full
		// is not emptier in a second.
		return !f.full
	}
	return false
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// once sends one request. A link may be a whole URL, under a name that only
// the BMC has for itself: what counts is its path, on the host that was given.
func (d *driver) once(ctx context.Context, method, path string, body any, headers map[string]string) (answer, error) {
	var a answer
	path = local(path)
	err := d.carrier.during(ctx, func() error {
		resp, err := d.send(method, path, body, headers)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		a.status = resp.StatusCode
		a.etag = resp.Header.Get("ETag")
		a.location = local(resp.Header.Get("Location"))
		a.token = resp.Header.Get("X-Auth-Token")
		a.body, err = io.ReadAll(resp.Body)
		return err
	})
	return a, d.fault(ctx, method, path, err)
}

func (d *driver) send(method, path string, body any, headers map[string]string) (*http.Response, error) {
	switch method {
	case http.MethodGet:
		return d.client.GetWithHeaders(path, headers)
	case http.MethodPatch:
		return d.client.PatchWithHeaders(path, body, headers)
	case http.MethodDelete:
		return d.client.DeleteWithHeaders(path, headers)
	default:
		return d.client.PostWithHeaders(path, body, headers)
	}
}

// local is the path of a location, which may be a whole URL under a name that
// only the BMC has for itself.
func local(location string) string {
	u, err := url.Parse(location)
	if err != nil || location == "" {
		return ""
	}
	return u.RequestURI()
}

// get reads a resource and gives its ETag.
func (d *driver) get(ctx context.Context, path string, v any) (etag string, err error) {
	if path == "" {
		return "", bmc.ErrUnsupported
	}
	path = local(path)
	a, err := d.do(ctx, http.MethodGet, path, nil, nil)
	if err != nil {
		return "", err
	}
	var tag struct {
		ETag string `json:"@odata.etag"`
	}
	if err := decode(a.body, &tag); err != nil {
		return "", fmt.Errorf("reading %s: %w", path, err)
	}
	if a.etag == "" {
		a.etag = tag.ETag
	}
	if v == nil {
		return a.etag, nil
	}
	if err := decode(a.body, v); err != nil {
		return "", fmt.Errorf("reading %s: %w", path, err)
	}
	return a.etag, nil
}

// patch changes a resource. It says which version it means as the BMC wrote
// it, then without the mark of a weak ETag, then without saying it: some
// BMCs require If-Match, some refuse their own weak tags (AMI), and some
// refuse the header.
func (d *driver) patch(ctx context.Context, path string, body any) error {
	etag, err := d.get(ctx, path, nil)
	if err != nil {
		return err
	}
	path = local(path)
	var first error
	for _, tag := range tags(etag) {
		var headers map[string]string
		if tag != "" {
			headers = map[string]string{"If-Match": tag}
		}
		a, err := d.do(ctx, http.MethodPatch, path, body, headers)
		if err == nil {
			return d.await(ctx, a)
		}
		if first == nil {
			first = err
		}
		if !aboutTag(err) {
			return err
		}
	}
	return first
}

func tags(etag string) []string {
	switch strong, weak := strings.CutPrefix(etag, "W/"); {
	case etag == "":
		return []string{""}
	case weak:
		return []string{etag, strong, ""}
	default:
		return []string{etag, ""}
	}
}

func aboutTag(err error) bool {
	var f *failure
	if !errors.As(err, &f) {
		return false
	}
	switch f.status {
	case http.StatusPreconditionFailed, http.StatusPreconditionRequired:
		return true
	case http.StatusBadRequest, http.StatusNotImplemented:
		return f.says("PreconditionFailed", "PreconditionHeaderMissing", "PreconditionRequired", "HeaderInvalid", "HeaderMissing")
	}
	return false
}

// post asks for an action and waits for its task, if it makes one.
func (d *driver) post(ctx context.Context, path string, body any) error {
	a, err := d.do(ctx, http.MethodPost, local(path), body, nil)
	if err != nil {
		return err
	}
	return d.await(ctx, a)
}

// members lists a collection, page by page.
func (d *driver) members(ctx context.Context, path string) ([]string, error) {
	var paths []string
	for pages := 0; path != "" && pages < 64; pages++ {
		var page struct {
			Members []common.Link
			Next    string `json:"Members@odata.nextLink"`
		}
		if _, err := d.get(ctx, path, &page); err != nil {
			return nil, err
		}
		for _, m := range page.Members {
			if m != "" {
				paths = append(paths, m.String())
			}
		}
		path = page.Next
	}
	return paths, nil
}
