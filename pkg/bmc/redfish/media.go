package redfish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/bmc/recipe"
)

// medium is VirtualMedia.
type medium struct {
	Path       string `json:"@odata.id"`
	ID         string `json:"Id"`
	MediaTypes []string
	Inserted   *bool
	Image      string
	ImageName  string
	Connected  string `json:"ConnectedVia"`
	Actions    struct {
		Insert action `json:"#VirtualMedia.InsertMedia"`
		Eject  action `json:"#VirtualMedia.EjectMedia"`
	}
	Oem map[string]json.RawMessage
}

func (m medium) in() bool {
	if m.Inserted != nil {
		return *m.Inserted
	}
	// Supermicro leaves the name of what was ejected (community.general issue 6969).
	return m.Image != "" && m.Connected != "NotConnected"
}

func (m medium) optical() bool {
	return slices.ContainsFunc(m.MediaTypes, func(t string) bool { return t == "CD" || t == "DVD" })
}

// candidates are the drives that take an ISO image, the best first: CDs and
// DVDs under the manager or, as newer schemas have it, under the system.
func (d *driver) candidates(ctx context.Context) ([]medium, error) {
	s, err := d.system(ctx)
	if err != nil {
		return nil, err
	}
	m, err := d.manager(ctx, s)
	if err != nil && !errors.Is(err, bmc.ErrUnsupported) {
		return nil, err
	}
	var out []medium
	for _, collection := range []string{m.VirtualMedia.String(), s.VirtualMedia.String()} {
		if collection == "" {
			continue
		}
		all, err := d.drives(ctx, collection)
		if err != nil && !errors.Is(err, bmc.ErrUnsupported) {
			return nil, fmt.Errorf("reading the virtual media: %w", err)
		}
		out = append(out, all...)
	}
	out = slices.DeleteFunc(out, func(m medium) bool { return m.rank() == 0 })
	slices.SortStableFunc(out, func(a, b medium) int { return b.rank() - a.rank() })
	if r, ok := d.options.Recipes.Media(d.machine()); ok && r.Drive != "" {
		slices.SortStableFunc(out, func(a, b medium) int {
			return before(strings.HasPrefix(a.ID, r.Drive), strings.HasPrefix(b.ID, r.Drive))
		})
	}
	if len(out) == 0 {
		return nil, bmc.ErrNoDrive
	}
	return out, nil
}

// before puts what is so before what is not.
func before(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// occupied is the drive that something is in, or the best one.
func occupied(drives []medium) medium {
	if i := slices.IndexFunc(drives, medium.in); i >= 0 {
		return drives[i]
	}
	return drives[0]
}

// rank prefers a drive for CDs, one that has the standard action, and the
// collection that was read first.
func (m medium) rank() int {
	switch {
	case m.Path == "" || len(m.MediaTypes) > 0 && !m.optical():
		return 0
	case m.optical() && m.Actions.Insert.Target != "":
		return 4
	case m.optical():
		return 3
	case m.Actions.Insert.Target != "":
		return 2
	}
	return 1
}

func (d *driver) drives(ctx context.Context, collection string) ([]medium, error) {
	paths, err := d.members(ctx, collection)
	if err != nil {
		return nil, err
	}
	var out []medium
	for _, p := range paths {
		m, err := d.medium(ctx, p)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

func (d *driver) medium(ctx context.Context, path string) (medium, error) {
	var m medium
	_, err := d.get(ctx, path, &m)
	m.Path = path
	return m, err
}

// Media is what is in the virtual CD drive.
func (d *driver) Media(ctx context.Context) (bmc.Media, error) {
	drives, err := d.candidates(ctx)
	if err != nil {
		return bmc.Media{}, err
	}
	return occupied(drives).state(), nil
}

func (m medium) state() bmc.Media {
	if !m.in() {
		return bmc.Media{}
	}
	return bmc.Media{Inserted: true, URL: m.Image}
}

// maxDrives is how many drives are asked to take an image: of the ten that an
// XCC has, the first two are for files that were uploaded to it.
const maxDrives = 4

// InsertMedia takes out what is in, puts the image into the best drive that
// takes it, and waits until the BMC says that it is in.
func (d *driver) InsertMedia(ctx context.Context, url string) error {
	drives, err := d.candidates(ctx)
	if err != nil {
		return err
	}
	if m := occupied(drives); m.in() {
		if err := d.eject(ctx, m); err != nil {
			return fmt.Errorf("taking out %s first: %w", m.Image, err)
		}
	}
	var refused error
	for n, m := range drives[:min(len(drives), maxDrives)] {
		err := d.load(ctx, m, url)
		switch {
		case !refusesDrive(err):
			return err
		case n == 0:
			refused = err
		}
	}
	return refused
}

// refusesDrive reports whether another drive may take what this one did not.
func refusesDrive(err error) bool {
	switch status(err) {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return true
	}
	return false
}

func (d *driver) load(ctx context.Context, m medium, url string) error {
	err := d.insert(ctx, m, url)
	if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		// Some fetch the whole image before they answer. It may be in all the same.
		if d.wait(ctx, m.Path, true) == nil {
			return nil
		}
	}
	if err != nil {
		return err
	}
	return d.wait(ctx, m.Path, true)
}

// EjectMedia takes the image out; an empty drive is not an error.
func (d *driver) EjectMedia(ctx context.Context) error {
	drives, err := d.candidates(ctx)
	if err != nil {
		return err
	}
	m := occupied(drives)
	if !m.in() {
		return nil
	}
	return d.eject(ctx, m)
}

// insert asks for the image with more and more of the parameters, for some
// BMCs require what others refuse.
func (d *driver) insert(ctx context.Context, m medium, url string) error {
	if m.Actions.Insert.Target == "" {
		if target, r, ok := d.oem(m); ok {
			if scheme, _, _ := strings.Cut(url, ":"); len(r.Schemes) > 0 && !slices.Contains(r.Schemes, scheme) {
				return fmt.Errorf("this BMC takes images from %s URLs only (%s): %w", strings.Join(r.Schemes, ", "), r.Source, bmc.ErrUnsupported)
			}
			return d.post(ctx, target, filled(r.Insert, url))
		}
		return d.patchMedium(ctx, m, url, true)
	}
	err := inTurn(insertBodies(m, url), func(body map[string]any) error { return d.post(ctx, m.Actions.Insert.Target, body) })
	if status(err) == http.StatusBadRequest {
		return d.explain(ctx, m, url, err)
	}
	return err
}

// explain adds to a refusal which protocols the BMC has, if that of the URL is
// none of them: bmcweb says of http that the image has no format it knows.
func (d *driver) explain(ctx context.Context, m medium, url string, refused error) error {
	kinds, err := d.allowed(ctx, m.Actions.Insert, "TransferProtocolType", m.Actions.Insert.Transfer)
	scheme, _, _ := strings.Cut(url, ":")
	if err != nil || len(kinds) == 0 || slices.Contains(kinds, strings.ToUpper(scheme)) {
		return refused
	}
	return fmt.Errorf("%w: the BMC takes images by %s, not by %s", refused, strings.Join(kinds, ", "), scheme)
}

// patchMedium is for a drive without actions (Lenovo XCC). Inserted can be
// written since VirtualMedia 1.1; firmware from before refuses it (HPE iLO 4).
func (d *driver) patchMedium(ctx context.Context, m medium, image any, in bool) error {
	bodies := []map[string]any{{"Image": image, "Inserted": in}, {"Image": image}}
	return inTurn(bodies, func(body map[string]any) error { return d.patch(ctx, m.Path, body) })
}

// inTurn sends one body after the other until one is not refused. What the
// first one was refused for is what people see.
func inTurn(bodies []map[string]any, send func(map[string]any) error) error {
	var first error
	for _, body := range bodies {
		err := send(body)
		if err == nil || status(err) != http.StatusBadRequest {
			return err
		}
		if first == nil {
			first = err
		}
	}
	return first
}

func insertBodies(m medium, url string) []map[string]any {
	bodies := []map[string]any{
		{"Image": url, "Inserted": true, "WriteProtected": true},
		{"Image": url},
	}
	scheme, _, _ := strings.Cut(url, ":")
	if kind := strings.ToUpper(scheme); len(m.Actions.Insert.Transfer) == 0 || slices.Contains(m.Actions.Insert.Transfer, kind) {
		bodies = append(bodies, map[string]any{"Image": url, "TransferProtocolType": kind, "TransferMethod": "Stream"})
	}
	return bodies
}

func (d *driver) eject(ctx context.Context, m medium) error {
	var err error
	switch target, r, ok := d.oem(m); {
	case m.Actions.Eject.Target != "":
		err = d.post(ctx, m.Actions.Eject.Target, map[string]any{})
	case ok:
		err = d.post(ctx, target, filled(r.Eject, ""))
	default:
		err = d.patchMedium(ctx, m, nil, false)
	}
	if err != nil {
		return fmt.Errorf("ejecting: %w", err)
	}
	return d.wait(ctx, m.Path, false)
}

// oem is the action that a recipe knows, if the drive has it. Its target is
// read, as all others are.
func (d *driver) oem(m medium) (string, recipe.Media, bool) {
	r, ok := d.options.Recipes.Media(d.machine())
	if !ok || r.Action == "" {
		return "", r, false
	}
	for _, raw := range m.Oem {
		var vendor struct{ Actions map[string]action }
		if decode(raw, &vendor) == nil && vendor.Actions[r.Action].Target != "" {
			return vendor.Actions[r.Action].Target, r, true
		}
	}
	return "", r, false
}

func filled(body map[string]string, url string) map[string]any {
	out := map[string]any{}
	for k, v := range body {
		out[k] = strings.ReplaceAll(v, "{url}", url)
	}
	return out
}

// wait looks until the drive is as wanted: BMCs mount after they answered.
func (d *driver) wait(ctx context.Context, path string, in bool) error {
	for end := time.Now().Add(d.options.Media); ; {
		m, err := d.medium(ctx, path)
		over := !time.Now().Before(end)
		if err != nil && (over || !errors.Is(err, bmc.ErrUnreachable)) {
			return fmt.Errorf("reading the virtual media: %w", err)
		}
		if err == nil && m.in() == in {
			return nil
		}
		if over {
			return fmt.Errorf("after %s the BMC still says Inserted %t: can it reach the server of the image? %w", d.options.Media, m.in(), bmc.ErrNotStored)
		}
		if err := pause(ctx, d.options.Poll); err != nil {
			return err
		}
	}
}
