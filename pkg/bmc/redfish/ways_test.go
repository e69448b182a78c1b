package redfish

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// make says whose machine a board is.
func (b *board) make(manufacturer, model string) {
	b.system()["Manufacturer"], b.system()["Model"] = manufacturer, model
}

func TestSetBootVerifiedFindsTheWay(t *testing.T) {
	pxe := bmc.Boot{Device: bmc.DevicePXE}
	uefi := bmc.Boot{Device: bmc.DevicePXE, Mode: bmc.ModeUEFI}
	for _, tt := range []struct {
		name  string
		board func(*board)
		want  bmc.Boot
		way   string // that worked; empty means none did
		body  object // the last one
	}{
		{"the standard's", func(*board) {}, uefi, wayStandard,
			object{"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Pxe", "BootSourceOverrideMode": "UEFI"}},
		{"for good", func(*board) {}, bmc.Boot{Device: bmc.DeviceDisk, Persistent: true}, wayStandard,
			object{"BootSourceOverrideEnabled": "Continuous", "BootSourceOverrideTarget": "Hdd"}},
		{"HTTP with its URL", func(*board) {}, bmc.Boot{Device: bmc.DeviceHTTP, URL: "http://10.0.0.1/boot.efi"}, wayStandard,
			object{"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "UefiHttp", "HttpBootUri": "http://10.0.0.1/boot.efi"}},
		{"setup", func(*board) {}, bmc.Boot{Device: bmc.DeviceBIOS}, wayStandard,
			object{"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "BiosSetup"}},
		{"no override", func(b *board) {
			merge(b.boot(), object{"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Pxe"})
		},
			bmc.Boot{Device: bmc.DeviceNone}, wayStandard, object{"BootSourceOverrideEnabled": "Disabled"}},
		{"the mode cannot be written, and is right", func(b *board) {
			b.patch = func(_ string, body object) (int, string) {
				if body["Boot"].(object)["BootSourceOverrideMode"] != nil {
					return http.StatusBadRequest, "Base.1.12.PropertyNotWritable"
				}
				return 0, ""
			}
		}, uefi, wayMinimal, object{"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Pxe"}},
		{"no override has to be said twice", func(b *board) {
			merge(b.boot(), object{"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Pxe"})
			b.patch = func(_ string, body object) (int, string) {
				if body["Boot"].(object)["BootSourceOverrideTarget"] == nil {
					return http.StatusOK, ""
				}
				return 0, ""
			}
		}, bmc.Boot{Device: bmc.DeviceNone}, wayMinimal, object{"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "None"}},
		{"the mode must be said", func(b *board) {
			b.patch = func(_ string, body object) (int, string) {
				if body["Boot"].(object)["BootSourceOverrideMode"] == nil {
					return http.StatusOK, "" // and nothing is stored
				}
				return 0, ""
			}
		}, pxe, wayMode, object{"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Pxe", "BootSourceOverrideMode": "UEFI"}},
		{"in the settings resource", func(b *board) {
			b.system()["@Redfish.Settings"] = object{"SettingsObject": link(pathSettings)}
			b.docs[pathSettings] = object{"Boot": object{"BootSourceOverrideEnabled": "Disabled"}}
			b.patch = func(path string, _ object) (int, string) {
				if path == pathSystem {
					return http.StatusBadRequest, "Ami.1.0.OperationSupportedInFutureStateURI"
				}
				return 0, ""
			}
		}, pxe, waySettings, object{"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Pxe"}},
		{"by the boot order", func(b *board) {
			b.patch = func(_ string, body object) (int, string) {
				if body["Boot"].(object)["BootOrder"] == nil {
					return http.StatusBadRequest, "Base.1.12.PropertyNotWritable"
				}
				return 0, ""
			}
		}, bmc.Boot{Device: bmc.DevicePXE, Persistent: true}, wayOrder, object{"BootOrder": []any{"Boot0001", "Boot0002"}}},
		{"by the boot order that waits, where an override is for once only", func(b *board) {
			b.boot()["BootSourceOverrideEnabled@Redfish.AllowableValues"] = []any{"Once", "Disabled"}
			b.system()["@Redfish.Settings"] = object{"SettingsObject": link(pathSettings)}
			b.docs[pathSettings] = object{"Boot": object{"BootOrder": []any{"Boot0002", "Boot0001"}}}
		}, bmc.Boot{Device: bmc.DevicePXE, Persistent: true}, wayOrder, object{"BootOrder": []any{"Boot0001", "Boot0002"}}},
		{"a BMC that has no once", func(b *board) {
			b.patch = func(_ string, body object) (int, string) {
				if body["Boot"].(object)["BootSourceOverrideEnabled"] == "Once" {
					return http.StatusBadRequest, "Base.1.12.PropertyValueNotInList"
				}
				return 0, ""
			}
		}, pxe, wayContinuous, object{"BootSourceOverrideEnabled": "Continuous", "BootSourceOverrideTarget": "Pxe"}},
		{"a BMC that wants the whole Boot back", func(b *board) {
			b.patch = func(_ string, body object) (int, string) {
				if body["Boot"].(object)["BootOptions"] == nil && body["Boot"].(object)["BootOrder"] == nil {
					return http.StatusOK, ""
				}
				return 0, ""
			}
		}, pxe, wayBmclib, nil},
		{"a BMC that lies", func(b *board) {
			b.patch = func(string, object) (int, string) { return http.StatusOK, "" }
		}, pxe, "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBoard()
			tt.board(b)
			d := dial(t, b)
			got, steps, err := bmc.SetBootVerified(context.Background(), d, tt.want, patience)
			last := steps[len(steps)-1].What
			switch {
			case tt.way == "" && !errors.Is(err, bmc.ErrNotStored):
				t.Errorf("got %s, %v", got, err)
			case tt.way != "" && (err != nil || !strings.HasPrefix(last, tt.way+", read back")):
				t.Errorf("%v\n%s", err, steps)
			case tt.body != nil:
				if diff := cmp.Diff(object{"Boot": tt.body}, b.said()); diff != "" {
					t.Errorf("the request is another:\n%s", diff)
				}
			}
			if b.open() != 1 {
				t.Errorf("%d sessions are open", b.open())
			}
		})
	}
}

func TestIfMatch(t *testing.T) {
	need := func(header string) (int, string) {
		if header == "" {
			return http.StatusPreconditionRequired, "Base.1.12.PreconditionRequired"
		}
		return 0, ""
	}
	for _, tt := range []struct {
		name   string
		noETag bool
		tags   func(string) (int, string)
		want   []string // the headers that were tried
		fails  bool
	}{
		{"it is required", false, need, []string{`W/"0"`}, false},
		{"it is required, and there is none", true, need, []string{""}, true},
		{"it is required without the mark of a weak one", false, func(h string) (int, string) {
			if h == `"0"` {
				return 0, ""
			}
			return http.StatusPreconditionFailed, "Base.1.12.PreconditionFailed"
		}, []string{`W/"0"`, `"0"`}, false},
		{"it is refused", false, func(h string) (int, string) {
			if h != "" {
				return http.StatusPreconditionFailed, "Base.1.12.PreconditionFailed"
			}
			return 0, ""
		}, []string{`W/"0"`, `"0"`, ""}, false},
		{"it is refused as a bad request", false, func(h string) (int, string) {
			if h != "" {
				return http.StatusBadRequest, "Base.1.12.HeaderInvalid"
			}
			return 0, ""
		}, []string{`W/"0"`, `"0"`, ""}, false},
		{"there is none", true, func(string) (int, string) { return 0, "" }, []string{""}, false},
		{"another refusal is not about it", false, func(string) (int, string) { return http.StatusBadRequest, "Base.1.12.PropertyUnknown" }, []string{`W/"0"`}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBoard()
			b.noETag = tt.noETag
			var tried []string
			b.tags = func(header string) (int, string) {
				tried = append(tried, header)
				return tt.tags(header)
			}
			d := dial(t, b)
			err := d.SetBoot(context.Background(), bmc.Boot{Device: bmc.DevicePXE}, bmc.Way{Name: wayStandard})
			if (err != nil) != tt.fails {
				t.Errorf("got %v", err)
			}
			if diff := cmp.Diff(tt.want, tried); diff != "" {
				t.Errorf("If-Match:\n%s", diff)
			}
		})
	}
}

func TestBootIsReadAsItIs(t *testing.T) {
	for _, tt := range []struct {
		name  string
		boot  object
		later object // in the settings resource
		want  bmc.Boot
	}{
		{"none", object{}, nil, bmc.Boot{Device: bmc.DeviceNone, Mode: bmc.ModeUEFI}},
		{"once", object{"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Pxe"}, nil, bmc.Boot{Device: bmc.DevicePXE, Mode: bmc.ModeUEFI}},
		{"legacy", object{"BootSourceOverrideEnabled": "Continuous", "BootSourceOverrideTarget": "Cd", "BootSourceOverrideMode": "Legacy"}, nil,
			bmc.Boot{Device: bmc.DeviceCD, Persistent: true, Mode: bmc.ModeBIOS}},
		{"HTTP", object{"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "UefiHttp", "HttpBootUri": "http://x/y"}, nil,
			bmc.Boot{Device: bmc.DeviceHTTP, Mode: bmc.ModeUEFI, URL: "http://x/y"}},
		{"a stranger", object{"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "UefiTarget"}, nil, bmc.Boot{Device: "uefitarget", Mode: bmc.ModeUEFI}},
		{"disabled with a target", object{"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "Pxe"}, nil, bmc.Boot{Device: bmc.DeviceNone, Mode: bmc.ModeUEFI}},
		{"members of other types", object{"BootSourceOverrideEnabled": 7, "BootSourceOverrideMode": nil}, nil, bmc.Boot{Device: bmc.DeviceNone}},
		{"it waits in the settings", object{}, object{"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Pxe", "BootSourceOverrideMode": "UEFI"},
			bmc.Boot{Device: bmc.DevicePXE, Mode: bmc.ModeUEFI}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBoard()
			merge(b.boot(), tt.boot)
			if tt.later != nil {
				b.system()["@Redfish.Settings"] = object{"SettingsObject": link(pathSettings)}
				b.docs[pathSettings] = object{"Boot": tt.later}
			}
			got, err := dial(t, b).Boot(context.Background())
			tt.want.Order = []string{"System disk", "PXE NIC 1"}
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

func TestADeviceThatIsNotAllowed(t *testing.T) {
	b := newBoard()
	b.boot()["BootSourceOverrideTarget@Redfish.AllowableValues"] = []any{"None", "Pxe"}
	err := dial(t, b).SetBoot(context.Background(), bmc.Boot{Device: bmc.DeviceCD}, bmc.Way{Name: wayStandard})
	if !errors.Is(err, bmc.ErrUnsupported) || !strings.Contains(err.Error(), "None, Pxe") || len(b.changes()) != 0 {
		t.Errorf("%v after %v", err, b.changes())
	}
}

func TestBmclibLeavesOtherSystemsAlone(t *testing.T) {
	b := newBoard()
	b.docs["/redfish/v1/Nodes"] = collection(pathSystem, "/redfish/v1/Nodes/dpu")
	b.docs["/redfish/v1/Nodes/dpu"] = object{"SystemType": "DPU"}
	err := dial(t, b).SetBoot(context.Background(), bmc.Boot{Device: bmc.DevicePXE}, bmc.Way{Name: wayBmclib})
	if !errors.Is(err, bmc.ErrUnsupported) || len(b.changes()) != 0 {
		t.Errorf("%v after %v", err, b.changes())
	}
}
