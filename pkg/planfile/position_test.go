package planfile_test

import (
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/planfile"
)

func TestPosition(t *testing.T) {
	doc := mustParse(t, `site: a
networks:
  storage: {subnet: 10.23.0.0/16, mtu: 9000}
  data:
    subnet: 10.24.0.0/16
images:
  rocky9.6: {file: a.iso}
access:
  root:
nodes:
  - name: n1
    addresses: {storage: 10.23.0.1}
  - name: n2
    disks:
      system:
        - wwn: "0x1"
        - wwn: "0x2"
`)
	for path, want := range map[string][2]int{
		"site":                         {1, 7},
		"networks.storage.mtu":         {3, 40},
		"networks.storage":             {3, 12},
		"networks.data.subnet":         {5, 13},
		"networks.data.gateway":        {5, 5}, // absent: the network itself
		"networks.none.gateway":        {3, 3},
		"images.rocky9.6.file":         {7, 20},
		"access.root":                  {9, 3}, // given, but empty
		"nodes[0].addresses.storage":   {12, 26},
		"nodes[0].role":                {11, 5},
		"nodes[1].disks.system[1].wwn": {17, 16},
		"nodes[7].name":                {11, 3},
		"":                             {1, 1},
		"..[[9":                        {1, 1},
	} {
		line, column := doc.Position(path)
		if got := [2]int{line, column}; got != want {
			t.Errorf("%q is at %v, want %v", path, got, want)
		}
	}
}

func TestFindingsHaveTheirPlace(t *testing.T) {
	doc := mustParse(t, strings.Replace(contract, "provision: 10.20.1.1+", "provision: 10.30.1.1+", 1))
	for _, f := range doc.Check() {
		if f.ID != "address-outside-subnet" {
			continue
		}
		want := `plan.yaml:32:28: error: 10.30.1.1 of cs-computer-0001 is outside 10.20.0.0/16 of network provision (and 511 more like it): use an address of 10.20.0.0/16 [address-outside-subnet]
   32 |     addresses: {provision: 10.30.1.1+, management: 10.22.1.1+}
      |                            ^`
		if got := doc.Render(f); got != want {
			t.Errorf("got:\n%s\nwant:\n%s", got, want)
		}
		return
	}
	t.Error("no finding says address-outside-subnet")
}

func TestDigest(t *testing.T) {
	digest := func(text string) string { return mustParse(t, text).Digest }
	base := digest(contract)
	if len(base) != 64 {
		t.Fatalf("digest is %q", base)
	}
	same := map[string]string{
		"comments":     strings.ReplaceAll(contract, "# or a crypt hash; never plain text", ""),
		"line endings": strings.ReplaceAll(contract, "\n", "\r\n"),
		"BOM":          "\xef\xbb\xbf" + contract,
		"MAC notation": strings.Replace(contract, "52:54:00:12:34:56", "5254-0012-3456", 1),
	}
	for name, text := range same {
		if digest(text) != base {
			t.Errorf("%s changed the digest", name)
		}
	}
	hash := "$6$saltsalt$" + strings.Repeat("a", 86)
	changed := map[string]string{
		"root hash":       strings.Replace(contract, "root: locked", "root: "+hash, 1),
		"other root hash": strings.Replace(contract, "root: locked", "root: "+hash[:len(hash)-1]+"b", 1),
		"node":            strings.Replace(contract, "0512]", "0511]", 1),
		"setting":         strings.Replace(contract, "hugepages_1g: 200", "hugepages_1g: 201", 1),
		"password source": strings.Replace(contract, "BMC_PASSWORD", "OTHER", 1),
	}
	seen := map[string]string{base: "the original"}
	for name, text := range changed {
		if other, ok := seen[digest(text)]; ok {
			t.Errorf("%s has the digest of %s", name, other)
		}
		seen[digest(text)] = name
	}
}

func TestOrderOfNodesDoesNotChangeTheDigest(t *testing.T) {
	a := mustParse(t, "nodes: [{name: a, role: x}, {name: b, role: y}]")
	b := mustParse(t, "nodes:\n  - {role: y, name: b}\n  - {role: x, name: a}\n")
	if a.Digest != b.Digest {
		t.Error("the order of the nodes changed the digest")
	}
}

var sink *planfile.Document

func BenchmarkParse(b *testing.B) {
	for _, c := range []struct {
		name string
		text string
	}{
		{"ranges/526", contract}, {"listed/526", listed(526)}, {"listed/16000", listed(16000)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.text)))
			for b.Loop() {
				sink = mustParse(b, c.text)
			}
		})
	}
}
