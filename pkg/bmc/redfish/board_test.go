package redfish

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/site"
)

// oddPassword is one that JSON, URLs, base64 and HTML each write otherwise.
const oddPassword = `p"\ä<&>%/+ 'wörd`

type object = map[string]any

// board is a BMC made of documents. Its paths are none that a client could
// guess.
type board struct {
	mu       sync.Mutex
	docs     map[string]object
	sessions map[string]string // path by token
	logins   int
	password string
	requests []string // METHOD path, without what a login and a logout need
	bodies   []object // of the PATCHes and POSTs among them

	nowhere bool                                                       // says only in the body where a session is
	noETag  bool                                                       // shows none
	tags    func(header string) (code int, id string)                  // what it says to an If-Match; 0 is nothing
	patch   func(path string, body object) (code int, id string)       // what it says to a PATCH; 0 stores it
	post    func(w http.ResponseWriter, path string, body object) bool // answers itself
	before  func(w http.ResponseWriter, r *http.Request) bool          // answers itself
	version int
}

func link(path string) object { return object{"@odata.id": path} }

func collection(paths ...string) object {
	members := []any{}
	for _, p := range paths {
		members = append(members, link(p))
	}
	return object{"Members": members, "Members@odata.count": len(paths)}
}

const (
	pathSystem   = "/redfish/v1/Nodes/a7"
	pathManager  = "/redfish/v1/Minders/bmc0"
	pathSettings = "/redfish/v1/Nodes/a7/later"
	pathReset    = "/redfish/v1/Nodes/a7/do/reset"
	pathBIOS     = "/redfish/v1/Nodes/a7/fw"
	pathBIOSNext = "/redfish/v1/Nodes/a7/fw/next"
	pathCD       = "/redfish/v1/Minders/bmc0/drives/cd"
	pathAccount  = "/redfish/v1/People/2"
	pathSessions = "/redfish/v1/Doors"
)

func newBoard() *board {
	return &board{
		password: oddPassword,
		sessions: map[string]string{},
		docs: map[string]object{
			"/redfish/v1": {
				"RedfishVersion": "1.15.0", "Vendor": "Contoso",
				"Systems": link("/redfish/v1/Nodes"), "Managers": link("/redfish/v1/Minders"), "Chassis": link("/redfish/v1/Boxes"),
				"AccountService": link("/redfish/v1/Accounts"),
				"Links":          object{"Sessions": link(pathSessions)},
			},
			"/redfish/v1/Nodes": collection(pathSystem),
			pathSystem: {
				"Manufacturer": "Contoso", "Model": "3500", "SerialNumber": "437XR1138R2", "UUID": "38947555-7742-3448-3784-823347823834",
				"SystemType": "Physical", "BiosVersion": "P79 v1.45", "PowerState": "On", "Status": object{"Health": "OK", "HealthRollup": "Warning"},
				"Boot": object{
					"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "None", "BootSourceOverrideMode": "UEFI",
					"BootSourceOverrideTarget@Redfish.AllowableValues": []any{"None", "Pxe", "Cd", "Hdd", "BiosSetup", "UefiHttp"},
					"BootOrder": []any{"Boot0002", "Boot0001"}, "BootOptions": link(pathSystem + "/options"),
				},
				"Links":   object{"ManagedBy": []any{link(pathManager)}, "Chassis": []any{link("/redfish/v1/Boxes/1u")}},
				"Actions": object{"#ComputerSystem.Reset": object{"target": pathReset, "ResetType@Redfish.AllowableValues": []any{"On", "ForceOff", "GracefulShutdown", "ForceRestart", "PowerCycle"}}},
				"Bios":    link(pathBIOS),
			},
			pathSystem + "/options":   collection(pathSystem+"/options/1", pathSystem+"/options/2"),
			pathSystem + "/options/1": {"BootOptionReference": "Boot0001", "DisplayName": "PXE NIC 1", "UefiDevicePath": "PciRoot(0x0)/Pci(0x1C,0x4)/MAC(525400123456,0x0)/IPv4(0.0.0.0)"},
			pathSystem + "/options/2": {"BootOptionReference": "Boot0002", "DisplayName": "System disk", "UefiDevicePath": "HD(1,GPT,6D2A…)/\\EFI\\x"},
			pathBIOS: {
				"Attributes":        object{"BootMode": "Uefi", "LogicalProc": "Disabled", "Retries": 3.0, "Quiet": false},
				"@Redfish.Settings": object{"SettingsObject": link(pathBIOSNext), "SupportedApplyTimes": []any{"OnReset"}},
			},
			pathBIOSNext:                {"Attributes": object{}},
			"/redfish/v1/Minders":       collection(pathManager),
			pathManager:                 {"FirmwareVersion": "1.45.455b66-rev4", "VirtualMedia": link(pathManager + "/drives")},
			pathManager + "/drives":     collection(pathManager+"/drives/usb", pathCD),
			pathManager + "/drives/usb": {"MediaTypes": []any{"USBStick"}, "Inserted": false},
			pathCD: {
				"MediaTypes": []any{"CD", "DVD"}, "Inserted": false, "Image": nil,
				"Actions": object{"#VirtualMedia.InsertMedia": object{"target": pathCD + "/in"}, "#VirtualMedia.EjectMedia": object{"target": pathCD + "/out"}},
			},
			"/redfish/v1/Boxes":    collection("/redfish/v1/Boxes/1u"),
			"/redfish/v1/Boxes/1u": {"PowerState": "On"},
			"/redfish/v1/Accounts": {"Accounts": link("/redfish/v1/People")},
			"/redfish/v1/People":   collection("/redfish/v1/People/1", pathAccount),
			"/redfish/v1/People/1": {"UserName": ""},
			pathAccount:            {"UserName": "admin"},
		},
	}
}

// system is the document of the machine.
func (b *board) system() object { return b.docs[pathSystem] }

func (b *board) boot() object { return b.docs[pathSystem]["Boot"].(object) }

func refuse(w http.ResponseWriter, code int, id, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(object{"error": object{"code": "Base.1.12.GeneralError", "message": "see the messages",
		"@Message.ExtendedInfo": []any{object{"MessageId": id, "Message": text}}}})
}

func (b *board) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	path := strings.TrimRight(r.URL.Path, "/")
	var body object
	raw, _ := io.ReadAll(r.Body)
	_ = json.Unmarshal(raw, &body)
	if b.before != nil && b.before(w, r) {
		return
	}
	if path == pathSessions && r.Method == http.MethodPost {
		b.login(w, body)
		return
	}
	if path != "/redfish/v1" && b.sessions[r.Header.Get("X-Auth-Token")] == "" {
		if user, password, _ := r.BasicAuth(); user != "admin" || password != b.password {
			refuse(w, http.StatusUnauthorized, "Base.1.12.NoValidSession", "There is no valid session established with the implementation.")
			return
		}
	}
	if strings.HasPrefix(path, pathSessions+"/") && r.Method == http.MethodDelete {
		maps.DeleteFunc(b.sessions, func(_, p string) bool { return p == path })
		w.WriteHeader(http.StatusNoContent)
		return
	}
	b.requests = append(b.requests, r.Method+" "+path)
	switch r.Method {
	case http.MethodGet:
		b.show(w, path)
	case http.MethodPatch:
		b.bodies = append(b.bodies, body)
		b.store(w, r, path, body)
	case http.MethodPost:
		b.bodies = append(b.bodies, body)
		b.act(w, path, body)
	default:
		refuse(w, http.StatusMethodNotAllowed, "Base.1.12.OperationNotAllowed", "no")
	}
}

func (b *board) login(w http.ResponseWriter, body object) {
	if body["UserName"] != "admin" || body["Password"] != b.password {
		refuse(w, http.StatusUnauthorized, "Base.1.12.ResourceAtUriUnauthorized",
			fmt.Sprintf("admin cannot log in with the password '%v'", body["Password"]))
		return
	}
	if len(b.sessions) >= 4 {
		refuse(w, http.StatusServiceUnavailable, "Base.1.12.SessionLimitExceeded", "The session establishment failed due to the number of simultaneous sessions exceeding the limit of the implementation.")
		return
	}
	b.logins++
	token, path := fmt.Sprintf("token-%d", b.logins), fmt.Sprintf("%s/%d", pathSessions, b.logins)
	b.sessions[token] = path
	w.Header().Set("X-Auth-Token", token)
	if !b.nowhere {
		w.Header().Set("Location", "https://bmc.internal"+path)
	}
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(encoded(link(path)))
}

func (b *board) etag() string { return fmt.Sprintf(`W/"%d"`, b.version) }

func (b *board) show(w http.ResponseWriter, path string) {
	doc, ok := b.docs[path]
	if !ok {
		refuse(w, http.StatusNotFound, "Base.1.12.ResourceMissingAtURI", "The resource at the URI "+path+" was not found.")
		return
	}
	if !b.noETag {
		w.Header().Set("ETag", b.etag())
	}
	doc["@odata.id"] = path
	_ = json.NewEncoder(w).Encode(doc)
}

func (b *board) store(w http.ResponseWriter, r *http.Request, path string, body object) {
	if b.tags != nil {
		if code, id := b.tags(r.Header.Get("If-Match")); code != 0 {
			refuse(w, code, id, "about the precondition")
			return
		}
	}
	if b.patch != nil {
		if code, id := b.patch(path, body); code != 0 {
			if code < 300 {
				w.WriteHeader(code)
				return
			}
			refuse(w, code, id, fmt.Sprintf("the request with %v is refused", body))
			return
		}
	}
	if b.docs[path] == nil {
		refuse(w, http.StatusNotFound, "Base.1.12.ResourceMissingAtURI", "no "+path)
		return
	}
	b.version++
	merge(b.docs[path], body)
	w.WriteHeader(http.StatusNoContent)
}

func merge(to, from object) {
	for k, v := range from {
		inner, ok := v.(object)
		if have, is := to[k].(object); ok && is {
			merge(have, inner)
			continue
		}
		to[k] = v
	}
}

func (b *board) act(w http.ResponseWriter, path string, body object) {
	if b.post != nil && b.post(w, path, body) {
		return
	}
	switch path {
	case pathReset:
		b.system()["PowerState"] = "On"
		if kind := body["ResetType"]; kind == "ForceOff" || kind == "GracefulShutdown" {
			b.system()["PowerState"] = "Off"
		}
	case pathCD + "/in":
		b.docs[pathCD]["Inserted"], b.docs[pathCD]["Image"] = true, body["Image"]
	case pathCD + "/out":
		b.docs[pathCD]["Inserted"], b.docs[pathCD]["Image"] = false, nil
	default:
		refuse(w, http.StatusNotFound, "Base.1.12.ActionNotSupported", "no "+path)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// with changes the board while requests may be under way.
func (b *board) with(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

// open is the number of sessions.
func (b *board) open() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.sessions)
}

// changes are the requests that were not reads.
func (b *board) changes() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(b.requests), func(s string) bool { return strings.HasPrefix(s, "GET") })
}

// said is the body of the last change.
func (b *board) said() object {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bodies[len(b.bodies)-1]
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

func target(address string) bmc.Target {
	return bmc.Target{Name: "n", Address: address, Protocol: bmc.Redfish, Username: "admin", Password: site.Secret(oddPassword)}
}

var quick = Options{Connect: time.Second, Timeout: 5 * time.Second, Task: 300 * time.Millisecond, Media: 300 * time.Millisecond, Poll: time.Millisecond}

var patience = bmc.Patience{Settle: 20 * time.Millisecond, Power: 50 * time.Millisecond, Soft: 50 * time.Millisecond, Poll: time.Millisecond}

// dial logs in to a board, and looks at the end that the session is closed.
func dial(t *testing.T, b *board) bmc.Driver {
	t.Helper()
	d, err := Dial(context.Background(), target(serve(t, b)), quick)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(context.Background()); err != nil {
			t.Errorf("closing: %v", err)
		}
		if n := b.open(); n != 0 {
			t.Errorf("%d sessions are left open", n)
		}
	})
	return d
}

func encoded(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
