package redfish

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/bmc"
)

func TestRedirects(t *testing.T) {
	for _, tt := range []struct {
		name  string
		code  int
		to    string
		works bool
	}{
		// iLO before 1.40 wants the slash, and says so with 308.
		{"a slash is missing", http.StatusPermanentRedirect, pathSystem + "/", true},
		{"an order would become a look", http.StatusFound, pathSystem + "/", false},
		{"to another host", http.StatusPermanentRedirect, "http://127.0.0.1:1" + pathSystem, false},
		{"in a circle", http.StatusPermanentRedirect, pathSystem, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBoard()
			d := dial(t, b)
			b.with(func() {
				b.before = func(w http.ResponseWriter, r *http.Request) bool {
					if r.URL.Path != pathSystem || r.Method != http.MethodPatch {
						return false
					}
					http.Redirect(w, r, tt.to, tt.code)
					return true
				}
			})
			err := d.SetBoot(context.Background(), bmc.Boot{Device: bmc.DevicePXE}, bmc.Way{Name: wayStandard})
			b.with(func() { b.before = nil })
			if (err == nil) != tt.works {
				t.Errorf("got %v", err)
			}
			if stored := b.boot()["BootSourceOverrideTarget"] == "Pxe"; stored != tt.works {
				t.Errorf("stored is %t", stored)
			}
		})
	}
}

func TestLinksAreFollowed(t *testing.T) {
	ctx := context.Background()
	t.Run("a collection in pages", func(t *testing.T) {
		b := newBoard()
		first := collection("/redfish/v1/Nodes/dpu")
		first["Members@odata.nextLink"] = "/redfish/v1/Nodes/rest"
		b.docs["/redfish/v1/Nodes"], b.docs["/redfish/v1/Nodes/rest"] = first, collection(pathSystem)
		b.docs["/redfish/v1/Nodes/dpu"] = object{"SystemType": "DPU"}
		if state, err := dial(t, b).Power(ctx); err != nil || state != bmc.PowerOn {
			t.Errorf("%s, %v", state, err)
		}
	})
	t.Run("pages in a circle", func(t *testing.T) {
		b := newBoard()
		b.docs["/redfish/v1/Nodes"]["Members@odata.nextLink"] = "/redfish/v1/Nodes"
		_, err := Dial(ctx, target(serve(t, b)), quick)
		if err == nil || b.open() != 0 {
			t.Errorf("%v, %d sessions are left open", err, b.open())
		}
	})
	t.Run("the manager says whose it is", func(t *testing.T) {
		b := newBoard()
		delete(b.system()["Links"].(object), "ManagedBy")
		b.docs["/redfish/v1/Minders"] = collection("/redfish/v1/Minders/rack", pathManager)
		b.docs["/redfish/v1/Minders/rack"] = object{"FirmwareVersion": "9"}
		b.docs[pathManager]["Links"] = object{"ManagerForServers": []any{link(pathSystem)}}
		if i, err := dial(t, b).Inventory(ctx); err != nil || i.BMC != "1.45.455b66-rev4" {
			t.Errorf("%s, %v", i.BMC, err)
		}
	})
	t.Run("the only manager", func(t *testing.T) {
		b := newBoard()
		delete(b.system()["Links"].(object), "ManagedBy")
		if i, err := dial(t, b).Inventory(ctx); err != nil || i.BMC != "1.45.455b66-rev4" {
			t.Errorf("%s, %v", i.BMC, err)
		}
	})
	t.Run("sessions by way of their service", func(t *testing.T) {
		b := newBoard()
		b.docs["/redfish/v1"]["Links"] = object{}
		b.docs["/redfish/v1"]["SessionService"] = link("/redfish/v1/Doorman")
		b.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/redfish/v1/Doorman" {
				_, _ = w.Write(encoded(object{"Sessions": link(pathSessions)}))
			}
			return r.URL.Path == "/redfish/v1/Doorman"
		}
		if _, err := dial(t, b).Power(ctx); err != nil || b.logins != 1 {
			t.Errorf("%v, %d logins", err, b.logins)
		}
	})
	t.Run("a link that is a whole URL", func(t *testing.T) {
		b := newBoard()
		b.system()["Actions"].(object)["#ComputerSystem.Reset"].(object)["target"] = "https://bmc.internal" + pathReset
		if err := dial(t, b).SetPower(ctx, bmc.ActionReset); err != nil || !strings.Contains(strings.Join(b.changes(), " "), pathReset) {
			t.Errorf("%v after %v", err, b.changes())
		}
	})
}
