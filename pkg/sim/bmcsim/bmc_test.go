package bmcsim

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// client speaks plain HTTP, so that these tests stand beside no library.
type client struct {
	t              *testing.T
	url            string
	user, password string
}

type got struct {
	status int
	header http.Header
	body   map[string]any
}

func (c client) try(method, path string, body any, header ...string) (got, error) {
	c.t.Helper()
	var payload io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			c.t.Fatal(err)
		}
		payload = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, payload)
	if err != nil {
		c.t.Fatal(err)
	}
	if c.user != "" {
		req.SetBasicAuth(c.user, c.password)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	hc := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	resp, err := hc.Do(req)
	if err != nil {
		return got{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	g := got{status: resp.StatusCode, header: resp.Header}
	data, err := io.ReadAll(resp.Body)
	if err == nil && len(data) > 0 {
		err = json.Unmarshal(data, &g.body)
	}
	return g, err
}

func (c client) do(method, path string, body any, header ...string) got {
	c.t.Helper()
	g, err := c.try(method, path, body, header...)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return g
}

func (c client) want(status int, method, path string, body any, header ...string) got {
	c.t.Helper()
	g := c.do(method, path, body, header...)
	if g.status != status {
		c.t.Errorf("%s %s %v: %d %s, want %d", method, path, body, g.status, message(g), status)
	}
	return g
}

// message is the MessageId of an answer, without its registry.
func message(g got) string {
	e, _ := g.body["error"].(map[string]any)
	code, _ := e["code"].(string)
	return code[strings.LastIndexByte(code, '.')+1:]
}

func (c client) override(enabled, target string) {
	c.t.Helper()
	c.want(204, "PATCH", systemPath, boot("BootSourceOverrideEnabled", enabled, "BootSourceOverrideTarget", target))
}

func (c client) reset(kind string, status int) {
	c.t.Helper()
	c.want(status, "POST", systemPath+"/Actions/ComputerSystem.Reset", map[string]any{"ResetType": kind})
}

func (c client) boot() map[string]any {
	c.t.Helper()
	b, _ := c.want(200, "GET", systemPath, nil).body["Boot"].(map[string]any)
	return b
}

func boot(pairs ...string) map[string]any {
	o := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		o[pairs[i]] = pairs[i+1]
	}
	return map[string]any{"Boot": o}
}

func newClient(t *testing.T, c Config) (*BMC, client) {
	b, url := served(t, c)
	return b, client{t: t, url: url, user: b.Username(), password: b.Password().Reveal()}
}

// TestEveryLinkLeadsSomewhere walks the whole tree from the service root, and
// asks of each resource what every Redfish resource has.
func TestEveryLinkLeadsSomewhere(t *testing.T) {
	_, c := newClient(t, Config{BootInSettings: true, Tasks: true})
	c.reset("On", 202)
	seen := map[string]bool{}
	queue := []string{"/redfish/v1/"}
	for len(queue) > 0 {
		at, _, _ := strings.Cut(queue[0], "#")
		queue = queue[1:]
		if seen[at] {
			continue
		}
		seen[at] = true
		g := c.want(200, "GET", at, nil)
		for _, name := range []string{"@odata.id", "@odata.type", "@odata.etag", "Name"} {
			if s, ok := g.body[name].(string); !ok || s == "" {
				t.Errorf("%s has no %s", at, name)
			}
		}
		if g.body["@odata.id"] != at {
			t.Errorf("%s calls itself %v", at, g.body["@odata.id"])
		}
		if g.header.Get("ETag") != g.body["@odata.etag"] || g.header.Get("OData-Version") != "4.0" {
			t.Errorf("%s has headers %v", at, g.header)
		}
		links(g.body, func(to string) { queue = append(queue, to) })
	}
	if len(seen) < 60 {
		t.Errorf("only %d resources", len(seen))
	}
	for _, at := range []string{biosSettings, settingsPath, systemPath + "/Storage/RAID/Drives/Disk2", managerPath + "/VirtualMedia/Cd", accountsPath + "/1", tasksPath + "/1"} {
		if !seen[at] {
			t.Errorf("no link leads to %s", at)
		}
	}
}

func links(v any, visit func(string)) {
	switch v := v.(type) {
	case map[string]any:
		if to, ok := v["@odata.id"].(string); ok {
			visit(to)
		}
		for _, e := range v {
			links(e, visit)
		}
	case []any:
		for _, e := range v {
			links(e, visit)
		}
	}
}

func TestRequests(t *testing.T) {
	_, c := newClient(t, Config{})
	stranger := client{t: t, url: c.url}
	etag := c.want(200, "GET", systemPath, nil).header.Get("ETag")
	patch := boot("BootSourceOverrideTarget", "Pxe", "BootSourceOverrideEnabled", "Once")
	tests := []struct {
		name    string
		c       client
		method  string
		path    string
		body    any
		header  []string
		status  int
		message string
	}{
		{"the root needs no password", stranger, "GET", "/redfish/v1", nil, nil, 200, ""},
		{"nor do the versions", stranger, "GET", "/redfish", nil, nil, 200, ""},
		{"the systems do", stranger, "GET", "/redfish/v1/Systems", nil, nil, 401, "NoValidSession"},
		{"a stranger learns of no path", stranger, "GET", "/redfish/v1/Nothing", nil, nil, 401, "NoValidSession"},
		{"no such resource", c, "GET", "/redfish/v1/Nothing", nil, nil, 404, "ResourceMissingAtURI"},
		{"a slash at the end", c, "GET", systemPath + "/", nil, nil, 200, ""},
		{"not modified", c, "GET", systemPath, nil, []string{"If-None-Match", etag}, 304, ""},
		{"not JSON", c, "PATCH", systemPath, patch, []string{"Content-Type", "text/plain"}, 415, "GeneralError"},
		{"nothing to change", c, "PATCH", systemPath, map[string]any{}, nil, 400, "EmptyJSON"},
		{"no such property", c, "PATCH", systemPath, map[string]any{"Colour": "red"}, nil, 400, "PropertyUnknown"},
		{"not writable", c, "PATCH", systemPath, map[string]any{"SerialNumber": "1"}, nil, 400, "PropertyNotWritable"},
		{"not a value", c, "PATCH", systemPath, boot("BootSourceOverrideTarget", "Tape"), nil, 400, "PropertyValueNotInList"},
		{"not for BIOS", c, "PATCH", systemPath, boot("BootSourceOverrideTarget", "UefiHttp", "BootSourceOverrideMode", "Legacy", "BootSourceOverrideEnabled", "Once"), nil, 400, "PropertyValueConflict"},
		{"UEFI's BootNext is for once", c, "PATCH", systemPath, boot("BootSourceOverrideTarget", "UefiBootNext", "BootNext", "Boot0001", "BootSourceOverrideEnabled", "Continuous"), nil, 400, "PropertyValueConflict"},
		{"another ETag", c, "PATCH", systemPath, patch, []string{"If-Match", `"0"`}, 412, "PreconditionFailed"},
		{"its ETag", c, "PATCH", systemPath, patch, []string{"If-Match", etag}, 204, ""},
		{"which it is no more", c, "PATCH", systemPath, patch, []string{"If-Match", etag}, 412, "PreconditionFailed"},
		{"BIOS is changed by its settings", c, "PATCH", biosPath, map[string]any{"Attributes": map[string]any{}}, nil, 405, "OperationNotAllowed"},
		{"no such BIOS setting", c, "PATCH", biosSettings, map[string]any{"Attributes": map[string]any{"Nope": 1}}, nil, 400, "PropertyUnknown"},
		{"no such BIOS value", c, "PATCH", biosSettings, map[string]any{"Attributes": map[string]any{"BootMode": "Maybe"}}, nil, 400, "PropertyValueNotInList"},
		{"beyond the bounds", c, "PATCH", biosSettings, map[string]any{"Attributes": map[string]any{"AcPwrRcvryUserDelay": 7}}, nil, 400, "PropertyValueOutOfRange"},
		{"a whole number", c, "PATCH", biosSettings, map[string]any{"Attributes": map[string]any{"AcPwrRcvryUserDelay": 70.5}}, nil, 400, "PropertyValueTypeError"},
		{"the standard's annotations are let be", c, "PATCH", biosSettings, map[string]any{"@Redfish.SettingsApplyTime": map[string]any{"ApplyTime": "OnReset"}, "Attributes": map[string]any{"BootMode": "Bios"}}, nil, 204, ""},
		{"no such reset", c, "POST", systemPath + "/Actions/ComputerSystem.Reset", map[string]any{"ResetType": "Kick"}, nil, 400, "ActionParameterValueNotInList"},
		{"no reset at all", c, "POST", systemPath + "/Actions/ComputerSystem.Reset", map[string]any{}, nil, 400, "ActionParameterMissing"},
		{"what is off cannot restart", c, "POST", systemPath + "/Actions/ComputerSystem.Reset", map[string]any{"ResetType": "ForceRestart"}, nil, 409, "ResourceInStandby"},
		{"off twice is off", c, "POST", systemPath + "/Actions/ComputerSystem.Reset", map[string]any{"ResetType": "ForceOff"}, nil, 204, ""},
		{"an action is not read", c, "GET", systemPath + "/Actions/ComputerSystem.Reset", nil, nil, 405, "OperationNotAllowed"},
		{"no such query", c, "GET", systemPath + "?$select=Name", nil, nil, 501, "QueryNotSupported"},
		{"a short password", c, "PATCH", accountsPath + "/1", map[string]any{"Password": "short"}, nil, 400, "PropertyValueFormatError"},
		{"a second account", c, "POST", accountsPath, map[string]any{"UserName": "b", "Password": "long-enough", "RoleId": "Operator"}, nil, 201, ""},
		{"of another name", c, "POST", accountsPath, map[string]any{"UserName": "b", "Password": "long-enough", "RoleId": "Operator"}, nil, 400, "ResourceAlreadyExists"},
		{"a medium from nowhere", c, "POST", managerPath + "/VirtualMedia/Cd/Actions/VirtualMedia.InsertMedia", map[string]any{"Image": "ftp://host/a.iso"}, nil, 400, "ActionParameterValueFormatError"},
		{"a medium that is not served", c, "POST", managerPath + "/VirtualMedia/Cd/Actions/VirtualMedia.InsertMedia", map[string]any{"Image": "http://127.0.0.1:1/a.iso"}, nil, 400, "CouldNotEstablishConnection"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.c.t = t
			g := tt.c.do(tt.method, tt.path, tt.body, tt.header...)
			if g.status != tt.status || message(g) != tt.message {
				t.Errorf("%d %s, want %d %s", g.status, message(g), tt.status, tt.message)
			}
		})
	}
}

func TestExpand(t *testing.T) {
	_, c := newClient(t, Config{})
	members, _ := c.want(200, "GET", systemPath+"/Processors?$expand=.($levels=1)", nil).body["Members"].([]any)
	if len(members) != 2 {
		t.Fatalf("%d processors", len(members))
	}
	if m, _ := members[1].(map[string]any); m["TotalCores"] != 32.0 || m["@odata.id"] != systemPath+"/Processors/CPU2" {
		t.Errorf("the second processor is %v", m)
	}
}

func TestSessions(t *testing.T) {
	now := time.Now()
	var mu sync.Mutex
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	b, basic := newClient(t, Config{Now: clock})
	c := client{t: t, url: basic.url}
	login := map[string]any{"UserName": b.Username(), "Password": b.Password().Reveal()}
	first := c.want(201, "POST", sessionsPath, login)
	if first.body["Password"] != nil || first.header.Get("Location") != first.body["@odata.id"] {
		t.Errorf("the session is %v at %s", first.body, first.header.Get("Location"))
	}
	token := []string{"X-Auth-Token", first.header.Get("X-Auth-Token")}
	c.want(200, "GET", systemPath, nil, token...)
	for range 3 {
		c.want(201, "POST", sessionsPath+"/Members", login)
	}
	if g := c.want(503, "POST", sessionsPath, login); message(g) != "SessionLimitExceeded" {
		t.Errorf("the fifth session: %s", message(g))
	}
	c.want(204, "DELETE", first.header.Get("Location"), nil, token...)
	c.want(401, "GET", systemPath, nil, token...)
	second := c.want(201, "POST", sessionsPath, login)
	if n := b.OpenSessions(); n != 4 {
		t.Errorf("%d sessions", n)
	}
	mu.Lock()
	now = now.Add(301 * time.Second)
	mu.Unlock()
	c.want(401, "GET", systemPath, nil, "X-Auth-Token", second.header.Get("X-Auth-Token"))
	if n := b.OpenSessions(); n != 0 {
		t.Errorf("%d sessions outlived their time", n)
	}
	c.want(401, "POST", sessionsPath, map[string]any{"UserName": b.Username(), "Password": "wrong-one"})
}

func TestMustChangePassword(t *testing.T) {
	_, c := newClient(t, Config{MustChangePassword: true})
	if g := c.want(403, "GET", systemPath, nil); message(g) != "PasswordChangeRequired" {
		t.Errorf("it says %s", message(g))
	}
	c.want(204, "PATCH", accountsPath+"/1", map[string]any{"Password": "a-better-one"})
	c.want(401, "GET", systemPath, nil)
	c.password = "a-better-one"
	c.want(200, "GET", systemPath, nil)
}

func TestTransitions(t *testing.T) {
	now := time.Now()
	var mu sync.Mutex
	pass := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); now = now.Add(d) }
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	b, c := newClient(t, Config{Now: clock, Transition: 5 * time.Second, Shutdown: time.Minute})
	steps := []struct {
		reset string
		shown string
		after time.Duration
		then  string
	}{
		{"On", "PoweringOn", 5 * time.Second, "On"},
		{"PowerCycle", "PoweringOn", 5 * time.Second, "On"},
		{"GracefulShutdown", "On", time.Minute, "Off"},
		{"PushPowerButton", "PoweringOn", 5 * time.Second, "On"},
		{"ForceOff", "PoweringOff", 5 * time.Second, "Off"},
	}
	for _, s := range steps {
		c.reset(s.reset, 204)
		if got := b.PowerState(); got != s.shown {
			t.Errorf("at once after %s it is %s, want %s", s.reset, got, s.shown)
		}
		pass(s.after)
		if got := c.want(200, "GET", systemPath, nil).body["PowerState"]; got != s.then {
			t.Errorf("%s after %s it is %s, want %s", s.after, s.reset, got, s.then)
		}
	}
	if want := []string{"On", "PowerCycle", "GracefulShutdown", "On", "ForceOff"}; !slices.Equal(b.Actions(), want) {
		t.Errorf("the chassis did %q, want %q", b.Actions(), want)
	}
}

func TestBootInSettings(t *testing.T) {
	b, c := newClient(t, Config{BootInSettings: true})
	pxe := boot("BootSourceOverrideEnabled", "Continuous", "BootSourceOverrideTarget", "Pxe")
	c.want(400, "PATCH", systemPath, pxe)
	c.want(204, "PATCH", settingsPath, pxe)
	if got := c.boot()["BootSourceOverrideTarget"]; got != "None" {
		t.Errorf("before the reset the override is %v", got)
	}
	c.reset("On", 204)
	eventually(t, "the override to be in effect", func() bool { return c.boot()["BootSourceOverrideTarget"] == "Pxe" })
	if got := b.Booted(); len(got) != 1 || got[0].Target != "Pxe" {
		t.Errorf("it booted %v", got)
	}
}

func TestBootOrder(t *testing.T) {
	b, c := newClient(t, Config{})
	order := map[string]any{"Boot": map[string]any{"BootOrder": []string{"Boot0020", "Boot0001"}}}
	c.want(204, "PATCH", systemPath, order)
	c.want(400, "PATCH", systemPath, map[string]any{"Boot": map[string]any{"BootOrder": []string{"Boot0020", "Boot0020"}}})
	c.reset("On", 204)
	eventually(t, "a boot", func() bool { return len(b.Booted()) == 1 })
	if got := b.Booted()[0]; got.Target != "UefiHttp" || !got.UEFI {
		t.Errorf("it booted %v", got)
	}
}

func TestTasks(t *testing.T) {
	now := time.Now()
	var mu sync.Mutex
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	_, c := newClient(t, Config{Now: clock, Tasks: true, Task: 30 * time.Second})
	g := c.want(202, "POST", systemPath+"/Actions/ComputerSystem.Reset", map[string]any{"ResetType": "On"})
	monitor := g.header.Get("Location")
	if g.body["TaskState"] != "Running" || g.body["TaskMonitor"] != monitor {
		t.Errorf("the task is %v", g.body)
	}
	c.want(202, "GET", monitor, nil)
	mu.Lock()
	now = now.Add(30 * time.Second)
	mu.Unlock()
	c.want(204, "GET", monitor, nil)
	if state := c.want(200, "GET", tasksPath+"/"+monitor[strings.LastIndexByte(monitor, '/')+1:], nil).body["TaskState"]; state != "Completed" {
		t.Errorf("the task is %v", state)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
