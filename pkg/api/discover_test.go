package api_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

const (
	strangerMAC = "52:54:00:00:00:66"
	askStranger = "/boot/node.ipxe?mac=" + strangerMAC + "&serial=SERIAL-X&arch=x86_64&platform=efi"
	atStranger  = "10.20.255.10:40000"
	inventoryX  = `{"source":"bmc","serial":"SERIAL-X","model":"RH2288H","uuid":"11111111-1111-4111-8111-1111111111aa","hardware":{"memory":1073741824,"disks":[{"serial":"D1","size":480000000000}]},` +
		`"nics":[{"name":"eth0","mac":"` + strangerMAC + `","link":"up","neighbour":{"switch":"leaf-2","port":"Eth1/7"}}]}`
)

// strangers is the plan that lets them be discovered.
func strangers(more string) string {
	return strings.Replace(planText, "provision: {network: provision, dhcp: server}",
		"provision: {network: provision, dhcp: server, pool: 10.20.255.10-10.20.255.99}\ndiscovery: {strangers: true, image: debian13"+more+"}", 1)
}

var discoveryURL = regexp.MustCompile(`rackseed\.url=http://10\.20\.0\.1:8080(/discover/\S+)`)

// discover gives the place where a machine that asks so reports.
func (w *world) discover(from, ask string) string {
	w.t.Helper()
	r := w.get(from, ask)
	m := discoveryURL.FindStringSubmatch(r.Body.String())
	if r.Code != http.StatusOK || m == nil {
		w.t.Fatalf("%d %s", r.Code, r.Body)
	}
	return m[1]
}

func TestStrangerWithLeave(t *testing.T) {
	w := planned(t)
	w.plan(strangers(""), "")
	before := w.seq()
	r := w.get(atStranger, askStranger)
	contains(t, "its script", r.Body.String(), "rdinit=/rackseed/discover", "rackseed.mac="+strangerMAC, "/images/"+strings.Repeat("d", 64)+"/linux",
		"initrd --name discover.img http://10.20.0.1:8080/boot/discover-x86_64.cpio", "nothing is written to its disks")
	for _, word := range []string{"/answer/", "preseed", "install attempt", "inst.ks"} {
		if strings.Contains(r.Body.String(), word) {
			t.Errorf("%q in the script of a stranger:\n%s", word, r.Body)
		}
	}
	w.nothingHappened(before)
	if a := w.get(atStranger, "/boot/discover-x86_64.cpio"); a.Body.String() != "agent true" {
		t.Errorf("the ramdisk: %d %s", a.Code, a.Body)
	}
	if a := w.get(atStranger, "/boot/discover-x86_64"); a.Body.String() != "agent false" {
		t.Errorf("the program: %d %s", a.Code, a.Body)
	}
	same(t, "an architecture that there is not", w.get(atStranger, "/boot/discover-sparc.cpio").Code, http.StatusNotFound)
}

func TestStrangerWithoutLeave(t *testing.T) {
	w := planned(t)
	same(t, "its answer", w.get(atStranger, askStranger).Code, http.StatusNotFound)
	// What was handed out under a plan with leave ends with it.
	w.plan(strangers(""), "")
	url := w.discover(atStranger, askStranger)
	w.plan(planText, "")
	same(t, "its report", w.ask(atStranger, http.MethodPost, url+"/inventory", inventoryX).Code, http.StatusConflict)
}

func TestInventoryCountsOnce(t *testing.T) {
	w := planned(t)
	w.plan(strangers(""), "")
	url := w.discover(atStranger, askStranger)
	contains(t, "what it is told", w.get(atStranger, url+"/next").Body.String(), "report\n")
	contains(t, "what it looks at", w.get(atStranger, url+"/tasks").Body.String(), `"lldp":35`)
	w.pass(time.Minute)
	contains(t, "its report", w.ask(atStranger, http.MethodPost, url+"/inventory", inventoryX).Body.String(), "no rule of the plan fits it")
	contains(t, "what it is told then", w.get(atStranger, url+"/next").Body.String(), "wait\n", "rackseed node adopt "+strangerMAC)
	before := w.seq()
	w.pass(time.Minute)
	same(t, "the second report of one boot", w.ask(atStranger, http.MethodPost, url+"/inventory", inventoryX).Code, http.StatusConflict)
	w.nothingHappened(before)

	again := w.discover(atStranger, askStranger)
	w.pass(time.Second)
	same(t, "the report of the next boot", w.ask(atStranger, http.MethodPost, again+"/inventory", inventoryX).Code, http.StatusOK)
	same(t, "events of it", w.seq()-before, 1)

	n := decode[view.Node](t, w.call(http.MethodGet, "/api/v1/nodes/"+strangerMAC, ""))
	if n.Serial != "SERIAL-X" || n.Inventory == nil || n.Inventory.Source != site.FromDiscovery || n.State != site.PhaseSeen || n.Next != "discover" {
		t.Errorf("%+v", n)
	}
}

// TestForeignTokens: a token is good for one machine, as one node, for a day.
func TestForeignTokens(t *testing.T) {
	w := planned(t)
	w.plan(strangers(""), "")
	url := w.discover(atStranger, askStranger)
	for what, other := range map[string]string{
		"another MAC":   strings.Replace(url, "00-00-66", "00-00-67", 1),
		"a node":        strings.Replace(url, "/-/", "/d1/", 1),
		"another time":  strings.Replace(url, "/-/", "/-/0", 1),
		"a cut token":   url[:len(url)-1],
		"no token":      "/discover/52-54-00-00-00-66/-/x",
		"a node's name": "/discover/52-54-00-00-00-01/d1/" + url[strings.LastIndexByte(url, '/')+1:],
	} {
		same(t, what, w.ask(atStranger, http.MethodPost, other+"/inventory", inventoryX).Code, http.StatusNotFound)
		same(t, what+" asking", w.get(atStranger, other+"/next").Code, http.StatusNotFound)
	}
	for what, body := range map[string]string{"no JSON": "hello", "too long": `{"serial":"` + strings.Repeat("x", 300<<10) + `"}`} {
		same(t, what, w.ask(atStranger, http.MethodPost, url+"/inventory", body).Code, http.StatusBadRequest)
	}
	w.pass(25 * time.Hour)
	same(t, "a day later", w.get(atStranger, url+"/next").Code, http.StatusNotFound)
}

func TestAdoptArmReboot(t *testing.T) {
	w := planned(t)
	w.plan(strangers(""), "")
	url := w.discover(atStranger, askStranger)
	w.pass(time.Second)
	w.ask(atStranger, http.MethodPost, url+"/inventory", inventoryX)
	n := decode[view.Node](t, w.call(http.MethodPost, "/api/v1/nodes", `{"who": "serial-x", "name": "x1", "role": "deb", "rack": "A01", "u": 7, "by": "ops", "addresses": {"provision": "10.20.1.66"}}`))
	if n.Name != "x1" || !n.Adopted || n.AdoptedBy != "ops" || n.State != site.PhasePlanned || n.Inventory == nil || n.Serial != "SERIAL-X" || n.U != 7 {
		t.Errorf("%+v", n)
	}
	contains(t, "what it is told", w.get(atStranger, url+"/next").Body.String(), "wait\nthis is x1 now")
	if r := w.get(atStranger, askStranger); strings.Contains(r.Body.String(), "discover") {
		t.Errorf("an adopted node that is not armed boots:\n%s", r.Body)
	}
	w.problem(http.MethodPost, "/api/v1/nodes", `{"who": "`+strangerMAC+`", "name": "x2", "role": "deb"}`, http.StatusConflict, "refused")
	w.arm("x1")
	contains(t, "what it is told then", w.get(atStranger, url+"/next").Body.String(), "reboot\n", "armed by ops")
	contains(t, "its next boot", w.get(atStranger, askStranger).Body.String(), "install attempt 1")
}

func TestPlansOverAdoptedNodes(t *testing.T) {
	w := planned(t)
	w.plan(strangers(""), "")
	stranger := site.MAC{0x52, 0x54, 0, 0, 0, 0x66}
	w.do(site.StrangerInventoried{MAC: stranger, Inventory: site.Inventory{Source: site.FromDiscovery, Serial: "SERIAL-X"}})
	w.call(http.MethodPost, "/api/v1/nodes", `{"who": "SERIAL-X", "name": "x1", "role": "deb", "by": "ops"}`)
	w.plan(strangers("")+"# once more\n", "")
	if m := w.node("x1"); !m.Node.Adopted {
		t.Error("a plan that does not name it took it away")
	}
	list := decode[view.AdoptedNodes](t, w.call(http.MethodGet, "/api/v1/plan/adopted", ""))
	if len(list.Nodes) != 1 || list.Nodes[0].Name != "x1" {
		t.Errorf("%+v", list)
	}
	without := strings.ReplaceAll(strings.ReplaceAll(strangers(""), "role: deb,", "role: rpm,"), "  deb: {profile: base, image: debian13}\n", "")
	p := w.problem(http.MethodPut, "/api/v1/plan?name=site.yaml", without, http.StatusConflict, "refused")
	contains(t, "why", p.Detail, "x1", "role", "node remove")

	changed := decode[view.Node](t, w.call(http.MethodPatch, "/api/v1/nodes/x1", `{"rack": "B02", "bmc": "10.21.0.66"}`))
	if changed.Rack != "B02" || !changed.Adopted || changed.AdoptedBy != "ops" || w.node("x1").Node.BMC.Address != "10.21.0.66" {
		t.Errorf("%+v", changed)
	}
	w.problem(http.MethodPatch, "/api/v1/nodes/x1", `{"role": "nothing"}`, http.StatusConflict, "refused")
	w.problem(http.MethodPatch, "/api/v1/nodes/d1", `{"rack": "B02"}`, http.StatusConflict, "refused")

	w.arm("x1")
	w.boot(atStranger, "/boot/node.ipxe?mac="+strangerMAC+"&serial=SERIAL-X")
	named := strangers("") + "  - {name: y1, role: deb, serial: SERIAL-X, addresses: {provision: 10.20.1.66}}\n"
	p = w.problem(http.MethodPut, "/api/v1/plan?name=site.yaml", named, http.StatusConflict, "refused")
	contains(t, "why not while it installs", p.Detail, "x1", "being installed")
	w.problem(http.MethodDelete, "/api/v1/nodes/x1", "", http.StatusConflict, "refused")
	w.call(http.MethodPost, "/api/v1/disarm", `{"selector": "x1", "by": "ops"}`)
	w.plan(named, "")
	if _, ok := w.ledger.State().Machine("x1"); ok || w.node("y1").Node.Adopted {
		t.Error("the plan names the machine, and the adopted node stays")
	}
}

func TestRemove(t *testing.T) {
	w := planned(t)
	w.plan(strangers(""), "")
	stranger := site.MAC{0x52, 0x54, 0, 0, 0, 0x66}
	w.do(site.StrangerSeen{MAC: stranger, Arch: "BIOS"})
	same(t, "removing a stranger", w.call(http.MethodDelete, "/api/v1/nodes/"+strangerMAC+"?by=ops", "").Code, http.StatusNoContent)
	same(t, "strangers", w.ledger.State().Strangers.Len(), 0)
	w.problem(http.MethodDelete, "/api/v1/nodes/d1", "", http.StatusConflict, "refused")
	w.problem(http.MethodDelete, "/api/v1/nodes/nobody", "", http.StatusNotFound, "not-found")
	w.do(site.StrangerSeen{MAC: stranger, Arch: "BIOS"})
	w.call(http.MethodPost, "/api/v1/nodes", `{"who": "`+strangerMAC+`", "name": "x1", "role": "deb"}`)
	same(t, "removing an adopted node", w.call(http.MethodDelete, "/api/v1/nodes/x1", "").Code, http.StatusNoContent)
	w.problem(http.MethodPost, "/api/v1/nodes", `{"who": "52:54:00:00:00:99", "name": "x1", "role": "deb"}`, http.StatusNotFound, "not-found")
	w.problem(http.MethodPost, "/api/v1/nodes", `{"name": "x1"}`, http.StatusBadRequest, "usage")
}

// TestNodeIsLookedAt: an operator's wish, once, and never in an install's way.
func TestNodeIsLookedAt(t *testing.T) {
	w := planned(t)
	w.plan(strangers(""), "")
	w.call(http.MethodPost, "/api/v1/nodes/d1/discover", `{"by": "ops"}`)
	url := w.discover(atD1, askD1)
	if !strings.HasPrefix(url, "/discover/52-54-00-00-00-01/d1/") {
		t.Errorf("%s", url)
	}
	contains(t, "what it is told", w.get(atD1, url+"/next").Body.String(), "report\n")
	w.pass(time.Second)
	same(t, "its report", w.ask(atD1, http.MethodPost, url+"/inventory", `{"serial":"SERIAL-D1"}`).Code, http.StatusOK)
	contains(t, "what it is told then", w.get(atD1, url+"/next").Body.String(), "reboot\nd1 was looked at")
	isLocal(t, w.get(atD1, askD1))
	if i, ok := w.node("d1").InventoryFrom(site.FromDiscovery); !ok || i.Serial != "SERIAL-D1" {
		t.Errorf("%+v", i)
	}
	w.arm("d1")
	w.problem(http.MethodPost, "/api/v1/nodes/d1/discover", `{}`, http.StatusConflict, "refused")
	w.boot(atD1, askD1)
	w.problem(http.MethodPost, "/api/v1/nodes/d1/discover", `{}`, http.StatusConflict, "refused")
	w.problem(http.MethodPost, "/api/v1/nodes/nobody/discover", `{}`, http.StatusNotFound, "not-found")
}

func TestRuleAdoptsAndDoesNotArm(t *testing.T) {
	w := planned(t)
	w.plan(strangers(`, rules: [{rule: leaves, match: {switch: "leaf-*", port: "Eth1/*"}, name: "c-{1:2}{2:2}", role: deb}]`), "")
	url := w.discover(atStranger, askStranger)
	w.pass(time.Second)
	contains(t, "its report", w.ask(atStranger, http.MethodPost, url+"/inventory", inventoryX).Body.String(), `rule "leaves" made it c-0207`)
	m := w.node("c-0207")
	if m.Phase != site.PhasePlanned || m.AdoptedBy != `rule "leaves"` {
		t.Errorf("%+v", m)
	}
	contains(t, "what it is told", w.get(atStranger, url+"/next").Body.String(), "wait\nthis is c-0207 now; waiting to be armed")
}

// TestCablesBeforeAnInstall: what an installer sees at its cables is judged by
// the plan before it touches a disk.
func TestCablesBeforeAnInstall(t *testing.T) {
	for verdict, wiring := range map[string]string{"warn": "", "stop": ", wiring: enforce"} {
		w := planned(t)
		plan := strings.Replace(strangers(wiring), `serial: SERIAL-D1,`, `serial: SERIAL-D1, nics: {nic1: {mac: "52:54:00:00:00:01", switch: leaf-1, port: Eth1/1}},`, 1)
		w.plan(plan, "")
		w.arm("d1")
		token := w.boot(atD1, askD1)
		disk := w.get(atD1, "/answer/"+token+"/disk.sh").Body.String()
		contains(t, "the script that finds disks", disk, "check_cabling", "http://10.20.0.1:8080/boot/discover-x86_64")
		contains(t, "what to look at", w.get(atD1, "/report/"+token+"/cabling").Body.String(), `"lldp":35`)
		see := func(port string) string {
			return w.ask(atD1, http.MethodPost, "/report/"+token+"/cabling", `{"nics":[{"mac":"52:54:00:00:00:01","link":"up","neighbour":{"switch":"leaf-1","port":"`+port+`"}},{"mac":"52:54:00:00:01:01"}]}`).Body.String()
		}
		same(t, "the right port", see("Ethernet1/1"), "ok\n")
		w.pass(time.Minute)
		same(t, "another port", see("Eth1/2"), verdict+"\nnic1 is in leaf-1 port Eth1/2, the plan says leaf-1 Eth1/1\n")
		n := decode[view.Node](t, w.call(http.MethodGet, "/api/v1/nodes/d1", ""))
		if len(n.Cabling) != 1 || n.Cabling[0].NIC != "nic1" {
			t.Errorf("%+v", n.Cabling)
		}
		list := decode[[]view.Cabling](t, w.call(http.MethodGet, "/api/v1/cabling?selector=d1", ""))
		if len(list) != 1 || len(list[0].Findings) != 1 || list[0].Source != "installer" || list[0].Ports[0].Name != "nic1" {
			t.Errorf("%+v", list)
		}
		same(t, "a token of nobody", w.ask(atD1, http.MethodPost, "/report/"+strings.Repeat("0", 64)+"/cabling", `{}`).Code, http.StatusNotFound)
	}
}
