package planfile_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/planfile"
)

func TestErrorsSayPlaceReasonAndFix(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown key near a known one", "site: a\nnodes:\n  - name: n1\n    macs: 52:54:00:12:34:56\n",
			`plan.yaml:4:5: unknown key "macs" in a node: did you mean mac?` + "\n    4 |     macs: 52:54:00:12:34:56\n      |     ^"},
		{"unknown key like no other", "site: a\naccess: {weather: fine}\n", `plan.yaml:2:10: unknown key "weather" in access: the keys are root, ssh_keys`},
		{"word of another tool", "nodes: [{hostname: n1}]", `plan.yaml:1:10: unknown key "hostname" in a node: did you mean name?`},
		{"duplicate key", "site: a\nsite: b\n", `plan.yaml:2:1: "site" is given twice in the plan: keep one of them`},
		{"duplicate network", "networks:\n  a: {subnet: 10.0.0.0/8}\n  a: {subnet: 11.0.0.0/8}\n", `plan.yaml:3:3: "a" is given twice in networks`},
		{"tab", "site: a\naccess:\n\troot: locked\n", "plan.yaml:3:1: found character tab that cannot start any token: indent with spaces: YAML allows no tabs"},
		{"full-width colon", "site: a\naccess：\n  root: locked\n", "plan.yaml:2:7: '：' means nothing in YAML"},
		{"full-width comma", "site: a\nnetworks:\n  p: {mtu: 9000， gateway: 10.0.0.1， dns: [10.0.0.2]}\n", "plan.yaml:3:16: '，' means nothing in YAML"},
		{"space of a document", "nodes:\n  - name: a\n\u00a0   role: b\n    rack: c\n", `plan.yaml:3:1: '\u00a0' means nothing in YAML`},
		{"full-width comment", "site: a: b # 站点：广州\n", "check the indentation, and quote"},
		{"open list", "site: [a\n", "plan.yaml:1:7: sequence end token"},
		{"two colons", "site: a: b\n", "check the indentation, and quote a value that has a colon followed by a space"},
		{"two documents", "site: a\n---\nsite: b\n", "plan.yaml:3:1: a second YAML document starts here"},
		{"nothing", "# only a comment\n", "plan.yaml:1:1: the file has no plan in it"},
		{"GBK", "site: a\ndomain: \xb9\xe3\xd6\xdd\n", "plan.yaml:2:9: the text is not UTF-8"},
		{"alias", "site: &x a\ndomain: *x\n", "plan.yaml:1:7: anchors, aliases and merge keys are not part of a plan"},
		{"merge key", "roles: {a: {<<: {image: x}}}\n", "plan.yaml:1:13: anchors, aliases"},
		{"tag", "site: !!str a\n", "plan.yaml:1:7: YAML tags"},
		{"list for a word", "site: [a]\n", "plan.yaml:1:7: site must be one value"},
		{"word for a mapping", "access: me\n", "plan.yaml:1:9: access must be a mapping"},
		{"word for the plan", "me\n", "plan.yaml:1:1: the plan must be a mapping"},
		{"mapping for nodes", "nodes: {a: b}\n", "nodes must be a list"},
		{"octal VLAN", "networks: {a: {vlan: 0122}}\n", `the VLAN "0122" is not a whole number: write it like 122`},
		{"MAC", "nodes: [{name: n, mac: 3c784300.0103}]\n", `plan.yaml:1:24: "3c784300.0103" is not a MAC address: write it as aa:bb:cc:dd:ee:ff`},
		{"one of several MACs", "nodes:\n  - name: n\n    mac:\n      - 52:54:00:12:34:56\n      - 52:54:00:12:34\n", `plan.yaml:5:9: "52:54:00:12:34" is not a MAC address`},
		{"UUID", "nodes: [{name: n, uuid: 1234}]\n", `"1234" is not a UUID`},
		{"prefix for an address", "nodes: [{name: n, addresses: {a: 10.1.1.1/22}}]\n", "leave off the part after the slash"},
		{"address", "nodes: [{name: n, addresses: {a: 10.1.1.300}}]\n", `the address on a "10.1.1.300" is not an IP address: write it like 10.20.1.1`},
		{"one address for many", "nodes: [{name: 'n[1-3]', addresses: {a: 10.1.1.1}}]\n", "the address on a is one address for 3 nodes (n1 to n3): write 10.1.1.1+ to count up from it"},
		{"addresses run out", "nodes: [{name: 'n[1-3]', addresses: {a: 255.255.255.254+}}]\n", "there are no 3 IPv4 addresses from 255.255.255.254 on"},
		{"list too short", "nodes: [{name: 'n[1-3]', serial: [a, b]}]\n", "2 values of serial for 3 nodes (n1 to n3): list 3 values, one for each node"},
		{"serial range too short", "nodes: [{name: 'n[1-3]', serial: 's[1-2]'}]\n", "2 serials for 3 nodes (n1 to n3)"},
		{"more racks than nodes", "nodes: [{name: n, rack: 'A[1-2]'}]\n", "2 racks for 1 nodes (n)"},
		{"backward range", "nodes: [{name: 'n[3-1]'}]\n", "[3-1] runs backwards"},
		{"huge range", "nodes: [{name: 'n[0-99999999]'}]\n", "stands for more than 65536 names"},
		{"no name", "nodes:\n  - role: x\n", "plan.yaml:2:5: this node has no name"},
		{"disk by name", "nodes: [{name: n, disks: {system: [sda]}}]\n", `"sda" does not say which disk: names such as sda move`},
		{"size", "nodes: [{name: n, disks: {system: [{min_size: big}]}}]\n", `min_size "big" is not a size: write it like 480GB or 100GiB`},
		{"size of nothing known", "nodes: [{name: n, disks: {system: [{min_size: 4KB5}]}}]\n", "is not a size"},
		{"boolean", "nodes: [{name: n, disks: {system: [{rotational: no}]}}]\n", `rotational "no" is neither true nor false`},
		{"pool", "provision: {pool: 10.0.0.1}\n", "the pool \"10.0.0.1\" is not a run of IPv4 addresses: write it as FIRST-LAST"},
		{"backward pool", "provision: {pool: 10.0.0.9-10.0.0.1}\n", "runs backwards: write 10.0.0.1-10.0.0.9"},
		{"lease time", "provision: {lease_time: 12}\n", `lease_time "12" is not a length of time: write it like 12h`},
		{"subnet", "networks: {a: {subnet: 10.0.0.0}}\n", `the subnet "10.0.0.0" is not a subnet: write it like 10.20.0.0/16`},
		{"octal setting", "roles: {a: {set: {n: 0123}}}\n", `roles.a.set.n: the number "0123" reads differently in different tools`},
		{"no for false", "roles: {a: {set: {ksm: no}}}\n", `roles.a.set.ksm: "no" is a boolean to some and text to others: write true or false`},
		{"wide characters", "site: 广州 # 一号\nlocale: {时区: x}\n", "plan.yaml:2:10: unknown key \"时区\""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := parseErrors(t, c.text).Error(); !strings.Contains(got, c.want) {
				t.Errorf("got:\n%s\nwant in it:\n%s", got, c.want)
			}
		})
	}
}

func TestEveryErrorIsReported(t *testing.T) {
	errs := parseErrors(t, `sit: a
networks:
  a: {subnet: x, mtu: y}
roles:
  r: {profil: base}
nodes:
  - {name: n1, mac: z}
  - {role: r}
  - {name: n2, uuid: u, addresses: {a: b}}
`)
	var lines []int
	for _, e := range errs {
		lines = append(lines, e.Line)
	}
	want := []int{1, 3, 3, 5, 7, 8, 9, 9}
	if len(lines) != len(want) {
		t.Fatalf("errors on lines %v, want %v:\n%v", lines, want, errs)
	}
	for i := range want {
		if lines[i] != want[i] {
			t.Fatalf("errors on lines %v, want %v:\n%v", lines, want, errs)
		}
	}
	var one *planfile.Error
	if !errors.As(errs, &one) || one.Line != 1 {
		t.Errorf("errors.As gave %v", one)
	}
}

// The caret stands below the key, also when the text before it is wide.
func TestCaretBelowWideText(t *testing.T) {
	got := parseErrors(t, "locale: {language: 中文, tz: x}\n").Error()
	want := "    1 | locale: {language: 中文, tz: x}\n      | " + strings.Repeat(" ", 19) + "\u3000\u3000" + "  ^"
	if !strings.HasSuffix(got, want) {
		t.Errorf("got:\n%s\nwant it to end in:\n%s", got, want)
	}
}

func TestNoErrorShowsAPassword(t *testing.T) {
	const secret = "hunter2"
	for _, text := range []string{
		"access: {root: hunter2}\n",
		"access:\n  root: hunter2\n",
		"access:\n  root:\n    hunter2\n",
		"access: {root: [hunter2]}\n",
		"access: {root: {hunter2: x}}\n",
		"access: {root: |\n  hunter2\n  }\n",
		"access:\n  root: |\n    hunter2\n  wrong: x\n",
		"access: {root: hunter2, wrong: x}\n",
		"access: {wrong: x, root: hunter2}\n",
		"bmc: {password: hunter2}\n",
		"bmc: {pasword: hunter2}\n",
		"bmc: {passwd: hunter2, wrong: x}\n",
		"bmc: {password: {plain: hunter2}}\n",
		"bmc: {password: {hunter2}}\n",
		"bmc: {password: {hunter2: }}\n",
		"bmc: {password: {sealed: hunter2}}\n",
		"bmc: {password: [hunter2]}\n",
		"bmc: {password: \"hunter2}\n",
		"bmc: {password: 'hunter2\n",
		"bmc: {password: hunter2: x}\n",
		"bmc:\n  password: hunter2: x\n",
		"bmc:\n  password:\n\thunter2\n",
		"bmc:\n  password: &hunter2 x\n",
		"bmc:\n  password: *hunter2\n",
		"bmc:\n  password: !hunter2 x\n",
		"nodes:\n  - name: n\n    bmc:\n      password:\n        - hunter2\n    wrong: x\n",
		"nodes: [{name: n, bmc: {password: hunter2}, wrong: x}]\n",
		"nodes: [{name: n, set: {db_password: hunter2, n: 0123}}]\n",
	} {
		err := parseErrors(t, text)
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%q:\n%v", text, err)
		}
		if data, _ := json.Marshal(err.Findings()); strings.Contains(string(data), secret) {
			t.Errorf("%q: %s", text, data)
		}
	}
}

// The parser recurses once for each level, and a range stands for many nodes:
// both have bounds.
func TestHostileFilesAreRefused(t *testing.T) {
	for _, c := range []struct{ text, id string }{
		{strings.Repeat("[", 1<<16), "nested-too-deep"},
		{strings.Repeat("{a: ", 1<<14), "nested-too-deep"},
		{strings.Repeat("- ", 1<<14), "nested-too-deep"},
		{strings.Repeat("? ", 1<<14), "nested-too-deep"},
		{staircase(1 << 10), "nested-too-deep"},
		{strings.Repeat("a: ", 1<<14), "nested-too-deep"},
		{strings.Repeat("a: ", 8), "yaml-syntax"},
		{"nodes: [{name: '" + strings.Repeat("[1]", 1<<12) + "'}]", "range-malformed"},
		{"nodes: [{name: 'a[" + strings.Repeat("1-60000,", 1<<12) + "1]'}]", "range-malformed"},
		{"nodes: [{name: 'a[" + strings.Repeat("0", 1<<12) + "1-60000]'}]", "range-malformed"},
		{"nodes: [{name: '" + strings.Repeat("a", 1<<12) + "[1-60000]'}]", "range-malformed"},
		{"nodes:\n" + strings.Repeat("  - {name: 'a[1-60000]'}\n", 1<<10), "too-many-nodes"},
		{"nodes: [{name: 'a[1-60000]', addresses: {" + manyNetworks(1<<10) + "}}]", "too-many-addresses"},
	} {
		errs := parseErrors(t, c.text)
		if errs[0].ID != c.id || len(errs.Error()) > 1<<10 {
			t.Errorf("%.40q: %s, %d bytes: %.200s", c.text, errs[0].ID, len(errs.Error()), errs)
		}
	}
}

func staircase(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func manyNetworks(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "n%d: 10.0.0.1+, ", i)
	}
	return b.String()
}
