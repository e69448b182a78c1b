package redfish

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/bmc"
)

func TestMedia(t *testing.T) {
	const image = "http://10.0.0.1:8080/iso/one.iso"
	ctx := context.Background()
	for _, tt := range []struct {
		name  string
		board func(*board)
		told  string // the changes
		body  object
	}{
		{"under the manager", func(*board) {}, "POST " + pathCD + "/in", object{"Image": image, "Inserted": true, "WriteProtected": true}},
		{"under the system", func(b *board) {
			delete(b.docs[pathManager], "VirtualMedia")
			b.system()["VirtualMedia"] = link(pathManager + "/drives")
		}, "POST " + pathCD + "/in", object{"Image": image, "Inserted": true, "WriteProtected": true}},
		{"another image is in", func(b *board) { merge(b.docs[pathCD], object{"Inserted": true, "Image": "http://x/old.iso"}) },
			"POST " + pathCD + "/out POST " + pathCD + "/in", object{"Image": image, "Inserted": true, "WriteProtected": true}},
		{"it takes no more than the image", func(b *board) {
			b.post = func(w http.ResponseWriter, path string, body object) bool {
				if strings.HasSuffix(path, "/in") && len(body) > 1 {
					refuse(w, http.StatusBadRequest, "Base.1.12.ActionParameterUnknown", "WriteProtected")
					return true
				}
				return false
			}
		}, "POST " + pathCD + "/in POST " + pathCD + "/in", object{"Image": image}},
		{"it wants the protocol said", func(b *board) {
			b.post = func(w http.ResponseWriter, path string, body object) bool {
				if strings.HasSuffix(path, "/in") && body["TransferProtocolType"] == nil {
					refuse(w, http.StatusBadRequest, "Base.1.12.ActionParameterMissing", "TransferProtocolType")
					return true
				}
				return false
			}
		}, "POST " + pathCD + "/in POST " + pathCD + "/in POST " + pathCD + "/in", object{"Image": image, "TransferProtocolType": "HTTP", "TransferMethod": "Stream"}},
		{"it has no action", func(b *board) { delete(b.docs[pathCD], "Actions") }, "PATCH " + pathCD, object{"Image": image, "Inserted": true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBoard()
			tt.board(b)
			d := dial(t, b)
			if err := d.InsertMedia(ctx, image); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(b.changes(), " "); got != tt.told {
				t.Errorf("it was told %s", got)
			}
			if diff := cmp.Diff(tt.body, b.said()); diff != "" {
				t.Error(diff)
			}
			if m, err := d.Media(ctx); err != nil || m != (bmc.Media{Inserted: true, URL: image}) {
				t.Errorf("%v, %v", m, err)
			}
			if err := d.EjectMedia(ctx); err != nil {
				t.Fatal(err)
			}
			before := len(b.changes())
			if m, err := d.Media(ctx); err != nil || m.Inserted {
				t.Errorf("%v, %v", m, err)
			}
			if err := d.EjectMedia(ctx); err != nil || len(b.changes()) != before {
				t.Errorf("ejecting nothing: %v", err)
			}
		})
	}
}

func TestMediaThatNeverGetIn(t *testing.T) {
	b := newBoard()
	b.post = func(w http.ResponseWriter, _ string, _ object) bool {
		w.WriteHeader(http.StatusNoContent)
		return true
	}
	err := dial(t, b).InsertMedia(context.Background(), "http://10.0.0.1/one.iso")
	if !errors.Is(err, bmc.ErrNotStored) || !strings.Contains(err.Error(), "reach the server") {
		t.Errorf("got %v", err)
	}
}

// TestMediaThatTakeLong: the emulators of virtual machines fetch the whole image
// before they answer, and nothing else meanwhile.
func TestMediaThatTakeLong(t *testing.T) {
	b := newBoard()
	b.before = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != pathCD+"/in" {
			return false
		}
		<-r.Context().Done() // the client's patience is at its end
		b.docs[pathCD]["Inserted"], b.docs[pathCD]["Image"] = true, "http://10.0.0.1/one.iso"
		return true
	}
	o := quick
	o.Timeout, o.Media = 200*time.Millisecond, 5*time.Second
	d, err := Dial(t.Context(), target(serve(t, b)), o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close(context.Background()) }()
	if err := d.InsertMedia(t.Context(), "http://10.0.0.1/one.iso"); err != nil {
		t.Error(err)
	}
	if m, err := d.Media(t.Context()); err != nil || !m.Inserted {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestNoVirtualCD(t *testing.T) {
	b := newBoard()
	b.docs[pathManager+"/drives"] = collection(pathManager + "/drives/usb")
	if _, err := dial(t, b).Media(context.Background()); !errors.Is(err, bmc.ErrNoDrive) || !errors.Is(err, bmc.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
}
