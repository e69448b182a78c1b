package redfish

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// What follows are replies of makes that differ from the schema, in as few
// members as it takes.

// TestCiscoCIMC: a UCS C220 M4 with CIMC 3.0 (Redfish 1.0.0) has the action of
// the first drafts, and links that are strings. From a recorded reply of
// FCH2131V13Z, "Ironic with Redfish Support", 2019-11-14.
func TestCiscoCIMC(t *testing.T) {
	b := newBoard()
	s := b.system()
	delete(s, "PowerState")
	s["Links"] = object{
		"CooledBy": []any{"/redfish/v1/Boxes/1u/Thermal"}, "Chassis": []any{"/redfish/v1/Boxes/1u"}, "ManagedBy": []any{pathManager},
	}
	s["Actions"] = object{"#System.Reset": object{"Target": pathReset, "ResetType@Redfish.AllowableValues": []any{"On", "ForceOff", "GracefulShutdown", "ForceRestart", "Nmi"}}}
	b.docs["/redfish/v1/Minders"] = collection("/redfish/v1/Minders/none")
	d := dial(t, b)
	ctx := context.Background()
	if state, err := d.Power(ctx); err != nil || state != bmc.PowerOn {
		t.Errorf("%s, %v", state, err)
	}
	if err := d.SetPower(ctx, bmc.ActionReset); err != nil || b.said()["ResetType"] != "ForceRestart" {
		t.Errorf("%v, %v", err, b.said())
	}
	if i, err := d.Inventory(ctx); err != nil || i.BMC != "1.45.455b66-rev4" {
		t.Errorf("%+v, %v", i, err)
	}
}

// TestHuaweiLogin: iBMC 6.41 (2288H V5) takes a login without the account's
// domain for a wrong password. A wrong one is told once.
func TestHuaweiLogin(t *testing.T) {
	for _, tt := range []struct {
		name  string
		knows bool // iBMC knows the member
		wrong bool
		tries string
	}{
		{"with the domain", true, false, "LocaliBMC"},
		{"firmware that does not know it", false, false, "LocaliBMC, none"},
		{"a wrong password", true, true, "LocaliBMC"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var tries []string
			b := newBoard()
			b.docs["/redfish/v1"]["Oem"] = object{"Huawei": object{"SoftwareName": "iBMC"}}
			at := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != pathSessions || r.Method != http.MethodPost {
					b.ServeHTTP(w, r)
					return
				}
				var asked struct {
					Oem *struct{ Huawei struct{ Domain string } }
				}
				_ = json.NewDecoder(r.Body).Decode(&asked)
				domain := "none"
				if asked.Oem != nil {
					domain = asked.Oem.Huawei.Domain
				}
				tries = append(tries, domain)
				switch {
				case !tt.knows && asked.Oem != nil:
					refuse(w, http.StatusBadRequest, "Base.1.0.PropertyUnknown", "The property Oem is not in the list of valid properties.")
				case tt.wrong || tt.knows && domain != "LocaliBMC":
					refuse(w, http.StatusUnauthorized, "iBMC.1.0.AuthorizationFailed", "The user name or password is incorrect, or the account is locked.")
				default:
					b.sessions["t"] = pathSessions + "/1"
					w.Header().Set("X-Auth-Token", "t")
					w.Header().Set("Location", pathSessions+"/1")
					w.WriteHeader(http.StatusCreated)
				}
			}))
			d, err := Dial(t.Context(), target(at), quick)
			if err == nil {
				// bmclib would log in without the domain.
				if err := d.SetBoot(t.Context(), bmc.Boot{Device: bmc.DevicePXE}, bmc.Way{Name: wayBmclib}); !errors.Is(err, bmc.ErrUnsupported) {
					t.Errorf("bmclib: %v", err)
				}
				_ = d.Close(t.Context())
			}
			if tt.wrong && (!errors.Is(err, bmc.ErrLogin) || errors.Is(err, bmc.ErrLocked)) || !tt.wrong && err != nil {
				t.Error(err)
			}
			if got := strings.Join(tries, ", "); got != tt.tries {
				t.Errorf("it was asked with %s", got)
			}
		})
	}
}

// TestHuaweiTask: the messages of its tasks are one object, and the next step
// is in the resolution.
func TestHuaweiTask(t *testing.T) {
	var a task
	err := decode([]byte(`{"TaskState": "Exception", "TaskStatus": "Warning", "Messages": {"MessageId": "iBMC.1.0.ConnectionFailed", "Message": "Failed to connect the virtual media.", "Resolution": "Please try again."}}`), &a)
	if err != nil {
		t.Fatal(err)
	}
	d := &driver{}
	done, err := d.ended(a, http.StatusOK)
	if !done || err == nil || !strings.HasSuffix(err.Error(), "Exception: Failed to connect the virtual media. Please try again.") {
		t.Errorf("%t, %v", done, err)
	}
	// H3C HDM 3.26: a monitor answers 200 while it mounts.
	if done, err := d.ended(task{TaskState: "Mounting"}, http.StatusOK); done || err != nil {
		t.Errorf("%t, %v", done, err)
	}
}

// TestDrivesOfTheChassis: iBMC 6.41 lists no drive at its RAID controller, and
// all of them at the chassis.
func TestDrivesOfTheChassis(t *testing.T) {
	b := newBoard()
	const disk = "/redfish/v1/Boxes/1u/Drives/HDDPlaneDisk0"
	b.system()["Storage"] = link(pathSystem + "/Storages")
	b.docs[pathSystem+"/Storages"] = collection(pathSystem + "/Storages/RAIDStorage0")
	b.docs[pathSystem+"/Storages/RAIDStorage0"] = object{"Id": "RAIDStorage0", "Drives": []any{}}
	b.docs["/redfish/v1/Boxes/1u"]["Links"] = object{"Drives": []any{link(disk)}}
	b.docs[disk] = object{"Id": "HDDPlaneDisk0", "SerialNumber": "Z1", "CapacityBytes": 1000, "MediaType": "HDD"}
	i, err := dial(t, b).Inventory(context.Background())
	if diff := cmp.Diff([]bmc.Disk{{Name: "HDDPlaneDisk0", Serial: "Z1", Size: 1000, Media: "HDD"}}, i.Disks); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

// TestManyDrives: an XCC (SR630 V2, AFBT20X) has ten virtual drives, and takes
// an image at a URL in EXT1 to EXT4 only (pubs.lenovo.com/xcc-restapi,
// insert_eject_virtual_media_patch). Another make with such drives is asked
// one after the other.
func TestManyDrives(t *testing.T) {
	const drives, image = pathManager + "/drives", "http://192.0.2.1/x.iso"
	for _, tt := range []struct{ name, make, told string }{
		{"the make is known", "Lenovo", "PATCH " + drives + "/EXT1"},
		{"it is not", "Contoso", "PATCH " + drives + "/RDOC1 PATCH " + drives + "/RDOC1 PATCH " + drives + "/EXT1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBoard()
			b.system()["Manufacturer"] = tt.make
			var paths []string
			for _, id := range []string{"RDOC1", "EXT1", "EXT2", "Remote1"} {
				paths = append(paths, drives+"/"+id)
				b.docs[drives+"/"+id] = object{"Id": id, "ConnectedVia": "NotConnected", "Image": nil, "Inserted": false, "MediaTypes": []any{"CD", "DVD"}}
			}
			b.docs[drives] = collection(paths...)
			b.patch = func(path string, _ object) (int, string) {
				if strings.HasSuffix(path, "RDOC1") {
					return http.StatusBadRequest, "Base.1.6.PropertyNotWritable"
				}
				return 0, ""
			}
			d, ctx := dial(t, b), context.Background()
			if err := d.InsertMedia(ctx, image); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(b.changes(), " "); got != tt.told {
				t.Errorf("it was told %s", got)
			}
			if m, err := d.Media(ctx); err != nil || m.URL != image {
				t.Errorf("%+v, %v", m, err)
			}
			if err := d.EjectMedia(ctx); err != nil {
				t.Error(err)
			}
			if m, err := d.Media(ctx); err != nil || m.Inserted {
				t.Errorf("%+v, %v", m, err)
			}
		})
	}
}

// TestILO4: Inserted cannot be written (community.general issue 4595), and the
// boot devices are under another name (ProLiant Gen9, iLO 4).
func TestILO4(t *testing.T) {
	b := newBoard()
	delete(b.docs[pathCD], "Actions")
	boot := b.boot()
	delete(boot, "BootSourceOverrideTarget@Redfish.AllowableValues")
	boot["BootSourceOverrideSupported"] = []any{"None", "Cd", "Hdd", "Usb", "Utilities", "Diags", "BiosSetup", "Pxe"}
	b.patch = func(path string, body object) (int, string) {
		if _, has := body["Inserted"]; path == pathCD && has {
			return http.StatusBadRequest, "Base.0.10.PropertyUnknown"
		}
		if path == pathCD {
			body["Inserted"] = body["Image"] != nil
		}
		return 0, ""
	}
	d, ctx := dial(t, b), context.Background()
	if err := d.InsertMedia(ctx, "http://192.0.2.1/x.iso"); err != nil {
		t.Error(err)
	}
	if err := d.EjectMedia(ctx); err != nil {
		t.Error(err)
	}
	_, _, err := bmc.SetBootVerified(ctx, d, bmc.Boot{Device: bmc.DeviceHTTP}, patience)
	if !errors.Is(err, bmc.ErrUnsupported) || !strings.Contains(err.Error(), "(None, Cd, Hdd") {
		t.Error(err)
	}
}

// TestWhichProtocols: OpenBMC's bmcweb refuses http by the format (recorded of
// a GB300, spyroot/redfish_ctl virtual_media_insert.err), and has in its
// ActionInfo which protocols it takes.
func TestWhichProtocols(t *testing.T) {
	b := newBoard()
	b.docs[pathCD]["Actions"].(object)["#VirtualMedia.InsertMedia"] = object{"target": pathCD + "/in", "@Redfish.ActionInfo": pathCD + "/info"}
	b.docs[pathCD+"/info"] = object{"Parameters": []any{object{"Name": "Image"}, object{"Name": "TransferProtocolType", "AllowableValues": []any{"CIFS", "HTTPS"}}}}
	b.post = func(w http.ResponseWriter, _ string, _ object) bool {
		refuse(w, http.StatusBadRequest, "Base.1.16.0.ResourceAtUriInUnknownFormat", "The resource at 'http://192.0.2.1/x.iso' is in a format not recognized by the service.")
		return true
	}
	err := dial(t, b).InsertMedia(context.Background(), "http://192.0.2.1/x.iso")
	if err == nil || !strings.HasSuffix(err.Error(), "not recognized by the service.: the BMC takes images by CIFS, HTTPS, not by http") {
		t.Error(err)
	}
}

// TestSupermicroLeavesTheName: what was ejected is still named
// (community.general issue 6969).
func TestSupermicroLeavesTheName(t *testing.T) {
	b := newBoard()
	b.docs[pathCD] = object{"MediaTypes": []any{"CD"}, "Image": "http://192.0.2.1/old.iso", "ConnectedVia": "NotConnected"}
	if m, err := dial(t, b).Media(context.Background()); err != nil || m.Inserted {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestGigabyteBIOS: the settings resource is there, and no link leads to it
// (community.general issue 6433).
func TestGigabyteBIOS(t *testing.T) {
	b := newBoard()
	delete(b.docs[pathBIOS], "@Redfish.Settings")
	b.docs[pathBIOS+"/SD"] = object{"@odata.id": pathBIOS + "/SD"}
	b.patch = func(path string, _ object) (int, string) {
		if path == pathBIOS {
			return http.StatusMethodNotAllowed, "Base.1.5.OperationNotAllowed"
		}
		return 0, ""
	}
	d, ctx := dial(t, b), context.Background()
	if err := d.SetFirmware(ctx, map[string]any{"LogicalProc": "Enabled"}); err != nil {
		t.Fatal(err)
	}
	f, err := d.Firmware(ctx)
	if diff := cmp.Diff(map[string]any{"LogicalProc": "Enabled"}, f.Pending); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

// TestNoBootOverride: IBM's OpenBMC shows nothing of a boot device
// (ibm-openbmc/bmcweb pull 209), which is not "no override".
func TestNoBootOverride(t *testing.T) {
	b := newBoard()
	b.system()["Boot"] = object{"AutomaticRetryAttempts": 3, "AutomaticRetryConfig": "Disabled", "StopBootOnFault": "Never"}
	if got, err := dial(t, b).Boot(context.Background()); !errors.Is(err, bmc.ErrUnsupported) {
		t.Errorf("%s, %v", got, err)
	}
}

// TestSystemByName: sushy-tools sends those on who name a virtual machine, and
// its systems have a name in place of a serial number.
func TestSystemByName(t *testing.T) {
	b := newBoard()
	other := pathSystem + "b"
	b.docs["/redfish/v1/Nodes"] = collection(pathSystem, other)
	b.docs[other] = object{"Name": "vm1"}
	b.docs[pathSystem]["@odata.id"], b.docs[pathSystem]["Name"] = pathSystem, "vm0"
	delete(b.docs[pathSystem], "SerialNumber")
	b.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/redfish/v1/Nodes/vm0" {
			http.Redirect(w, r, pathSystem, http.StatusTemporaryRedirect)
			return true
		}
		return false
	}
	at := serve(t, b)
	d, err := Dial(t.Context(), target(at+"/redfish/v1/Nodes/vm0"), quick)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close(context.Background()) }()
	if i, err := d.Inventory(t.Context()); err != nil || i.UUID == "" {
		t.Errorf("%+v, %v", i, err)
	}
	_, err = Dial(t.Context(), target(at), quick)
	if err == nil || !strings.Contains(err.Error(), pathSystem+" vm0, ") || !strings.Contains(err.Error(), other+" vm1") {
		t.Error(err)
	}
}

// TestAServiceThatStarts has sessions, and not yet.
func TestAServiceThatStarts(t *testing.T) {
	at := says(t, http.StatusServiceUnavailable, `{"error":{"@Message.ExtendedInfo":[{"MessageId":"Base.1.8.ServiceTemporarilyUnavailable","Message":"The service is temporarily unavailable. Retry in 4 seconds."}]}}`)
	_, err := Dial(t.Context(), target(at), quick)
	if !errors.Is(err, bmc.ErrBusy) || strings.Contains(err.Error(), "no free session") {
		t.Error(err)
	}
}
