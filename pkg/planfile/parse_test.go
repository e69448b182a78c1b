package planfile_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/planfile"
	"github.com/rackseed/rackseed/pkg/site"
)

// contract is the plan file of the contract, word for word.
const contract = `site: guangzhou-a
domain: gz.example.net
locale: {timezone: Asia/Shanghai, language: zh_CN.UTF-8, keyboard: us}
access:
  root: locked                         # or a crypt hash; never plain text
  ssh_keys: [ssh-ed25519 AAAA… ops]
provision:                             # how Rackseed speaks on the wire
  network: provision
  dhcp: server                         # server | proxy | off
  pool: 10.20.255.10-10.20.255.200     # optional: for machines the plan does not name
networks:
  provision:  {subnet: 10.20.0.0/16, gateway: 10.20.0.1, dns: [10.20.0.1], ntp: [10.20.0.1]}
  ipmi:       {subnet: 10.21.0.0/16}
  management: {subnet: 10.22.0.0/16, vlan: 122, gateway: 10.22.0.1}
  storage:    {subnet: 10.23.0.0/16, vlan: 123, mtu: 9000}
images:
  rocky9: {file: Rocky-9.6-x86_64-dvd.iso, sha256: …}
bmc:                                   # defaults; a node may override
  protocol: redfish                    # redfish | ipmi
  username: admin
  password: {env: BMC_PASSWORD}        # or {file: …} or {sealed: …}
roles:
  compute:
    profile: compute                   # a shipped profile, or one under profiles/ beside the plan
    image: rocky9
    set: {hugepages_1g: 200, ksm: false}
    networks: {management: bond0, storage: bond1}
nodes:
  - name: cs-computer-[0001-0512]      # a range: lists and address starts expand with it
    role: compute
    rack: A[01-32]
    addresses: {provision: 10.20.1.1+, management: 10.22.1.1+}
  - name: cs-controller-01
    role: controller
    mac: 52:54:00:12:34:56             # any of: mac (one or several), serial, uuid
    serial: 2102311TUF10K8000001
    bmc: {address: 10.21.0.11}
    disks: {system: [{wwn: "0x5000c500a1b2c3d4"}]}
`

func mustParse(t testing.TB, text string) *planfile.Document {
	t.Helper()
	doc, err := planfile.Parse("plan.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func node(t testing.TB, p *site.Plan, name string) site.Node {
	t.Helper()
	for _, n := range p.Nodes {
		if n.Name == name {
			return n
		}
	}
	t.Fatalf("there is no node %s", name)
	return site.Node{}
}

func TestContractExample(t *testing.T) {
	p := mustParse(t, contract).Plan
	if len(p.Nodes) != 513 {
		t.Fatalf("%d nodes, want 513", len(p.Nodes))
	}
	want := site.Node{
		Name: "cs-computer-0300", Role: "compute", Rack: "A19", Place: "nodes[0]",
		Addresses: map[string]netip.Addr{
			"provision": netip.MustParseAddr("10.20.2.44"), "management": netip.MustParseAddr("10.22.2.44"),
		},
	}
	addrs := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if diff := cmp.Diff(want, node(t, p, "cs-computer-0300"), addrs); diff != "" {
		t.Error(diff)
	}
	mac, _ := site.ParseMAC("52:54:00:12:34:56")
	want = site.Node{
		Name: "cs-controller-01", Role: "controller", MACs: []site.MAC{mac}, Serial: "2102311TUF10K8000001", Place: "nodes[1]",
		BMC: site.BMC{Address: "10.21.0.11"}, Disks: site.Disks{System: []site.DiskSelector{{WWN: "0x5000c500a1b2c3d4"}}},
	}
	if diff := cmp.Diff(want, node(t, p, "cs-controller-01"), addrs); diff != "" {
		t.Error(diff)
	}
	if got := p.Roles["compute"].Set; got["hugepages_1g"] != 200.0 || got["ksm"] != false {
		t.Errorf("set is %#v", got)
	}
	if p.Provision.Pool.Size() != 191 || p.Networks["storage"].VLAN != 123 || p.Networks["storage"].MTU != 9000 || p.BMC.Password.Env != "BMC_PASSWORD" {
		t.Errorf("settings are %+v", p.Settings)
	}
}

func TestExamplesHaveNoFindings(t *testing.T) {
	files, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("found %v, %v", files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := planfile.Parse(filepath.Base(file), data)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range doc.Check() {
			t.Error(doc.Render(f))
		}
	}
}

func TestGuangzhouIsTheSiteOfTheDesign(t *testing.T) {
	data, err := os.ReadFile("../../examples/guangzhou.yaml")
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	racks := map[string]int{}
	for _, n := range mustParse(t, string(data)).Plan.Nodes {
		count[n.Role]++
		if n.Role == "compute" {
			racks[n.Rack]++
		}
	}
	want := map[string]int{"controller": 5, "database": 5, "message-queue": 3, "monitoring": 1, "compute": 512}
	if diff := cmp.Diff(want, count); diff != "" {
		t.Error(diff)
	}
	if len(racks) != 32 || racks["A01"] != 16 || racks["A32"] != 16 {
		t.Errorf("racks: %v", racks)
	}
}

// What YAML would make a number of, a plan keeps as it was written.
func TestTextStaysText(t *testing.T) {
	doc := mustParse(t, `
site: 0123
nodes:
  - {name: n1, role: 1e10, rack: 007, mac: 525400010203, serial: 0123, disks: {system: [{wwn: 0x5000c500a1b2c3d4, serial: 08, model: 1.10}]}}
  - {name: n2, mac: 001122334455, serial: 1_000, uuid: 12345678123412341234123456789012}
  - {name: n3, mac: "02-54-00-01-02-03", serial: 2.10235E+19}
  - {name: n4, mac: [0254.0001.0204, 0254-0001-0205, "025400010206"], serial: true}
`)
	var got []string
	for _, n := range doc.Plan.Nodes {
		got = append(got, strings.TrimSpace(fmt.Sprint(n.Name, " ", n.Role, " ", n.Rack, " ", n.MACs, " ", n.Serial)))
	}
	want := []string{
		"n1 1e10 007 [52:54:00:01:02:03] 0123",
		"n2   [00:11:22:33:44:55] 1_000",
		"n3   [02:54:00:01:02:03] 2.10235E+19",
		"n4   [02:54:00:01:02:04 02:54:00:01:02:05 02:54:00:01:02:06] true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if disk := doc.Plan.Nodes[0].Disks.System[0]; disk.WWN != "0x5000c500a1b2c3d4" || disk.Serial != "08" || disk.Model != "1.10" {
		t.Errorf("disk is %+v", disk)
	}
	if doc.Plan.Site != "0123" {
		t.Errorf("site is %q", doc.Plan.Site)
	}
}

func TestValues(t *testing.T) {
	hash := "$6$saltsalt$" + strings.Repeat("a", 86)
	doc := mustParse(t, `
provision: {local_boot: sanboot, dhcp: proxy}
access: {root: `+hash+`}
bmc: {password: {sealed: "sealed:abc"}}
nodes:
  - name: a
    local_boot: exit
    image: rocky9
    u: 12
    set: {list: [1, two, 3.5, null], deep: {x: true}, text: "yes", count: -5}
    disks:
      system:
        - {by_path: "/dev/disk/by-path/pci-0000:00:1f.2-ata-1", min_size: 400GB, max_size: 1.5TiB, rotational: false}
        - {model: MICRON, min_size: 100GiB, max_size: 123}
`)
	p := doc.Plan
	if p.Provision.LocalBoot != site.LocalSanboot || p.Provision.DHCP != site.DHCPProxy || p.Access.Root.Reveal() != hash || p.BMC.Password.Sealed.Reveal() != "sealed:abc" {
		t.Errorf("settings are %+v, root %q", p.Settings, p.Access.Root.Reveal())
	}
	rotational := false
	want := site.Node{
		Name: "a", LocalBoot: site.LocalExit, Image: "rocky9", U: 12, Place: "nodes[0]",
		Set: map[string]any{"list": []any{1.0, "two", 3.5, nil}, "deep": map[string]any{"x": true}, "text": "yes", "count": -5.0},
		Disks: site.Disks{System: []site.DiskSelector{
			{ByPath: "pci-0000:00:1f.2-ata-1", MinSize: 400e9, MaxSize: 3 << 39, Rotational: &rotational},
			{Model: "MICRON", MinSize: 100 << 30, MaxSize: 123},
		}},
	}
	if diff := cmp.Diff(want, p.Nodes[0]); diff != "" {
		t.Error(diff)
	}
}

func TestLeaseTimes(t *testing.T) {
	for text, want := range map[string]time.Duration{"12h": 12 * time.Hour, "90m": 90 * time.Minute, "7d": 7 * 24 * time.Hour, "1h30m": 90 * time.Minute} {
		if got := mustParse(t, "provision: {lease_time: "+text+"}").Plan.Provision.LeaseTime; got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
}

func parseErrors(t *testing.T, text string) planfile.Errors {
	t.Helper()
	_, err := planfile.Parse("plan.yaml", []byte(text))
	var errs planfile.Errors
	if !errors.As(err, &errs) {
		t.Fatalf("Parse gave %v, want Errors", err)
	}
	return errs
}
