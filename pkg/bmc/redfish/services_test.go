package redfish

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// TestServicesOfManyShapes: the standard leaves much open, and services use
// it. All of them are driven through the same tour.
func TestServicesOfManyShapes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		shape  func(b *board)
		front  func(b *board, h http.Handler) http.Handler // between the client and the board; nil is none
		target func(t *bmc.Target)
		less   tour // what this service does not have
	}{
		{name: "as it is"},
		{name: "slashes at the end of links", shape: func(b *board) { everyLink(b, func(p string) string { return p + "/" }) }},
		{name: "links that are whole URLs", shape: func(b *board) { everyLink(b, func(p string) string { return "https://bmc.internal" + p }) }},
		{name: "replies that are compressed", front: func(_ *board, h http.Handler) http.Handler { return compressed(h) }},
		{name: "a connection for each request", front: func(_ *board, h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Connection", "close")
				h.ServeHTTP(w, r)
			})
		}},
		{name: "members in full", shape: func(b *board) { inFull(b, "/redfish/v1/Nodes", pathSystem+"/options") }},
		{name: "pages by query, as whole URLs", shape: func(b *board) {
			b.docs["/redfish/v1/Nodes"] = object{"Members": []any{}, "Members@odata.nextLink": "https://bmc.internal/redfish/v1/Nodes?$skip=1&$top=1"}
		}, front: func(b *board, h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Get("$skip") == "1" {
					_, _ = w.Write(encoded(collection(pathSystem)))
					return
				}
				h.ServeHTTP(w, r)
			})
		}},
		{name: "no ETags", shape: func(b *board) { b.noETag = true }},
		{name: "ETags in the body only, and required", shape: func(b *board) {
			b.noETag = true
			for _, d := range b.docs {
				d["@odata.etag"] = `"v1"`
			}
			b.tags = func(header string) (int, string) {
				if header != `"v1"` {
					return http.StatusPreconditionRequired, "Base.1.12.PreconditionRequired"
				}
				return 0, ""
			}
		}},
		{name: "allowable values in another case", shape: func(b *board) {
			b.boot()["BootSourceOverrideTarget@Redfish.AllowableValues"] = []any{"none", "pxe", "hdd"}
			b.patch = func(_ string, body object) (int, string) {
				if boot, ok := body["Boot"].(object); ok && boot["BootSourceOverrideTarget"] == "Pxe" {
					return http.StatusBadRequest, "Base.1.12.PropertyValueNotInList"
				}
				return 0, ""
			}
		}},
		{name: "no allowable values", shape: func(b *board) {
			delete(b.boot(), "BootSourceOverrideTarget@Redfish.AllowableValues")
			delete(b.system()["Actions"].(object)["#ComputerSystem.Reset"].(object), "ResetType@Redfish.AllowableValues")
		}},
		{name: "no push of a mode, and for good in place of once", shape: func(b *board) {
			b.patch = func(path string, body object) (int, string) {
				boot, ok := body["Boot"].(object)
				if !ok || path != pathSystem {
					return 0, ""
				}
				if boot["BootSourceOverrideMode"] != nil {
					return http.StatusBadRequest, "Base.1.12.PropertyNotWritable"
				}
				boot["BootSourceOverrideEnabled"] = "Continuous"
				return 0, ""
			}
		}},
		{name: "power of the chassis, resets in an ActionInfo", shape: func(b *board) {
			b.system()["PowerState"] = nil
			reset := b.system()["Actions"].(object)["#ComputerSystem.Reset"].(object)
			reset["@Redfish.ActionInfo"] = pathSystem + "/info"
			delete(reset, "ResetType@Redfish.AllowableValues")
			b.docs[pathSystem+"/info"] = object{"Parameters": []any{object{"Name": "ResetType", "AllowableValues": []any{"On", "ForceOff", "ForceRestart"}}}}
			b.post = func(w http.ResponseWriter, path string, body object) bool {
				if path != pathReset {
					return false
				}
				b.docs["/redfish/v1/Boxes/1u"]["PowerState"] = map[bool]string{true: "Off", false: "On"}[body["ResetType"] == "ForceOff"]
				w.WriteHeader(http.StatusNoContent)
				return true
			}
		}},
		{name: "tasks for all, their monitor in a header", front: tasks("header")},
		{name: "tasks for all, their monitor in the body", front: tasks("monitor")},
		{name: "tasks for all, the body is the task", front: tasks("task")},
		{name: "tasks for all, and no word about where", front: tasks("nowhere")},
		{name: "media under the system only, Inserted is null", shape: func(b *board) {
			delete(b.docs[pathManager], "VirtualMedia")
			b.system()["VirtualMedia"] = link(pathManager + "/drives")
			b.docs[pathCD]["Inserted"] = nil
		}},
		{name: "members of other types than the schema's", shape: func(b *board) {
			s := b.system()
			s["MemorySummary"], s["ProcessorSummary"], s["SKU"], s["BiosVersion"] = "lots", nil, 7, object{}
			b.docs["/redfish/v1"]["ProtocolFeaturesSupported"] = "all"
		}},
		{name: "little: no manager, no BIOS, no boot options", less: tour{bios: true, media: true}, shape: func(b *board) {
			s := b.system()
			delete(s, "Bios")
			delete(s["Links"].(object), "ManagedBy")
			delete(b.boot(), "BootOptions")
			delete(b.boot(), "BootOrder")
			delete(b.docs["/redfish/v1"], "Managers")
		}},
		{name: "no sessions", shape: func(b *board) { delete(b.docs["/redfish/v1"], "Links") }},
		{name: "a root that is locked", front: func(b *board, h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _, basic := r.BasicAuth()
				if strings.TrimRight(r.URL.Path, "/") == "/redfish/v1" && !basic && r.Header.Get("X-Auth-Token") == "" {
					refuse(w, http.StatusUnauthorized, "Base.1.12.NoValidSession", "no")
					return
				}
				h.ServeHTTP(w, r)
			})
		}},
		{name: "a chassis of four, the plan says a serial", shape: blades, target: func(t *bmc.Target) { t.Serial = "437xr1138r2" }},
		{name: "a chassis of four, the plan says a UUID", shape: blades, target: func(t *bmc.Target) { t.UUID = "38947555-7742-3448-3784-823347823834" }},
		{name: "a chassis of four, the address names one", shape: blades, target: func(t *bmc.Target) { t.Address += pathSystem }},
		{name: "a chassis of four, by whole URLs, the address names one", shape: func(b *board) {
			blades(b)
			everyLink(b, func(p string) string { return "https://bmc.internal" + p + "/" })
		}, target: func(t *bmc.Target) { t.Address += pathSystem }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBoard()
			if tt.shape != nil {
				tt.shape(b)
			}
			var h http.Handler = b
			if tt.front != nil {
				h = tt.front(b, b)
			}
			at := target(serve(t, h))
			if tt.target != nil {
				tt.target(&at)
			}
			d, err := Dial(t.Context(), at, quick)
			if err != nil {
				t.Fatal(err)
			}
			tt.less.take(t, b, d)
			if err := d.Close(t.Context()); err != nil || b.open() != 0 {
				t.Errorf("%v, %d sessions are left open", err, b.open())
			}
		})
	}
}

// tour is what is done with each service; what is set is left out.
type tour struct{ bios, media bool }

func (less tour) take(t *testing.T, b *board, d bmc.Driver) {
	t.Helper()
	ctx := t.Context()
	if state, err := d.Power(ctx); err != nil || state != bmc.PowerOn {
		t.Errorf("power: %s, %v", state, err)
	}
	if state, steps, err := bmc.Power(ctx, d, bmc.ActionCycle, patience, nil); err != nil || state != bmc.PowerOn {
		t.Errorf("power cycle: %s, %v (%s)", state, err, steps)
	}
	if got, steps, err := bmc.SetBootVerified(ctx, d, bmc.Boot{Device: bmc.DevicePXE}, patience); err != nil || got.Device != bmc.DevicePXE {
		t.Errorf("boot device: %s, %v (%s)", got, err, steps)
	}
	if i, err := d.Inventory(ctx); err != nil || i.Serial != "437XR1138R2" {
		t.Errorf("inventory: %+v, %v", i, err)
	}
	if !less.bios {
		err := d.SetFirmware(ctx, map[string]any{"BootMode": "Bios"})
		if f, e := d.Firmware(ctx); err != nil || e != nil || f.Current["BootMode"] != "Uefi" || f.Pending["BootMode"] != "Bios" {
			t.Errorf("BIOS: %+v, %v, %v", f, err, e)
		}
	}
	if !less.media {
		err := d.InsertMedia(ctx, "http://192.0.2.1/boot.iso")
		m, e := d.Media(ctx)
		if err != nil || e != nil || !m.Inserted {
			t.Errorf("media: %+v, %v, %v", m, err, e)
		}
		if err := d.EjectMedia(ctx); err != nil {
			t.Errorf("ejecting: %v", err)
		}
	}
}

// blades makes the machine one of four, each with a manager of its own.
func blades(b *board) {
	paths := []string{}
	for i := range 3 {
		p := fmt.Sprintf("/redfish/v1/Nodes/blade%d", i)
		b.docs[p] = object{"SystemType": "Physical", "SerialNumber": fmt.Sprint("OTHER", i), "PowerState": "Off", "Links": object{"ManagedBy": []any{link(p + "/minder")}}}
		paths = append(paths, p)
	}
	b.docs["/redfish/v1/Nodes"] = collection(slices.Insert(paths, 2, pathSystem)...)
}

// everyLink rewrites the links of the documents.
func everyLink(b *board, rewrite func(string) string) {
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case object:
			for k, inner := range v {
				if p, ok := inner.(string); ok && (k == "@odata.id" || k == "target") {
					v[k] = rewrite(p)
				}
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	for _, d := range b.docs {
		walk(d)
	}
}

// inFull has collections hold their members in place of links to them.
func inFull(b *board, collections ...string) {
	for _, c := range collections {
		members := b.docs[c]["Members"].([]any)
		for i, m := range members {
			path := m.(object)["@odata.id"].(string)
			full := maps.Clone(b.docs[path])
			full["@odata.id"] = path
			members[i] = full
		}
	}
}

func compressed(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			h.ServeHTTP(w, r)
			return
		}
		inner := httptest.NewRecorder()
		h.ServeHTTP(inner, r)
		maps.Copy(w.Header(), inner.Header())
		if inner.Body.Len() == 0 {
			w.WriteHeader(inner.Code)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(inner.Code)
		z := gzip.NewWriter(w)
		_, _ = z.Write(inner.Body.Bytes())
		_ = z.Close()
	})
}

// tasks answers every change with a task that runs for two looks.
func tasks(where string) func(*board, http.Handler) http.Handler {
	const monitor, path = "/redfish/v1/Chores/monitor", "/redfish/v1/Chores/1"
	return func(_ *board, h http.Handler) http.Handler {
		looks := 0
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			at := strings.TrimRight(r.URL.Path, "/")
			switch {
			case at == monitor || at == path:
				state, code := "Running", http.StatusAccepted
				if looks++; looks > 2 {
					state, code = "Completed", http.StatusOK
				}
				if at == path {
					code = http.StatusOK
				}
				w.WriteHeader(code)
				_ = json.NewEncoder(w).Encode(object{"@odata.id": path, "TaskState": state, "TaskStatus": "OK"})
			case r.Method == http.MethodPatch, r.Method == http.MethodPost && !strings.HasPrefix(at, pathSessions):
				inner := httptest.NewRecorder()
				h.ServeHTTP(inner, r)
				if inner.Code >= 300 {
					maps.Copy(w.Header(), inner.Header())
					w.WriteHeader(inner.Code)
					_, _ = w.Write(inner.Body.Bytes())
					return
				}
				looks = 0
				body := object{"@odata.id": path, "@odata.type": "#Task.v1_4_3.Task", "TaskState": "New"}
				switch where {
				case "header":
					w.Header().Set("Location", monitor)
				case "monitor":
					body["TaskMonitor"] = monitor
				case "nowhere":
					body = object{}
				}
				w.WriteHeader(http.StatusAccepted)
				_ = json.NewEncoder(w).Encode(body)
			default:
				h.ServeHTTP(w, r)
			}
		})
	}
}

func TestSystemsAreListed(t *testing.T) {
	b := newBoard()
	blades(b)
	address := serve(t, b)
	list := fmt.Sprintf("%[1]s/redfish/v1/Nodes/blade0 OTHER0, %[1]s/redfish/v1/Nodes/blade1 OTHER1, %[1]s%[2]s 437XR1138R2", address, pathSystem)
	for serial, want := range map[string]string{
		"":             "4 systems: name one in its address, or give the machine its serial in the plan: " + list,
		"NONE-OF-THEM": "4 systems has the plan's serial number NONE-OF-THEM: correct it, or name one in the address: " + list,
	} {
		at := target(address)
		at.Serial = serial
		_, err := Dial(context.Background(), at, quick)
		if err == nil || !strings.Contains(err.Error(), want) || b.open() != 0 {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}
