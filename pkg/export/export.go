// Package export writes what the tools read that come after the installation:
// a kolla-ansible inventory, cephadm specifications, /etc/hosts, an Ansible
// inventory. All of it follows from the plan and its Intents; nothing is
// asked again.
package export

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml"

	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
)

// Site is a plan with what its nodes must be.
type Site struct {
	Settings *site.Settings
	Nodes    []Node
}

// Node is a planned machine with its Intent.
type Node struct {
	*site.Node
	Intent *profile.Intent
	System site.System // that it installs, as far as known
}

// File is one document. Its name is relative, with slashes.
type File struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Export is what one kind gives.
type Export struct {
	Files []File `json:"files"`
	// Warnings are what the deployer will stumble over, each a sentence.
	Warnings []string `json:"warnings,omitempty"`
}

// Kinds lists what can be exported.
func Kinds() []string { return []string{"kolla", "cephadm", "hosts", "ansible"} }

// Write makes one kind of export.
func Write(kind string, s *Site) (Export, error) {
	sorted := &Site{Settings: s.Settings, Nodes: slices.Clone(s.Nodes)}
	slices.SortFunc(sorted.Nodes, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	switch kind {
	case "kolla":
		return kolla(sorted)
	case "cephadm":
		return cephadm(sorted)
	case "hosts":
		return hosts(sorted), nil
	case "ansible":
		return ansible(sorted)
	default:
		return Export{}, fmt.Errorf("there is no export %q: there are %s", kind, strings.Join(Kinds(), ", "))
	}
}

// is reports whether the node's profile is one of these or extends one.
func (n Node) is(profiles ...string) bool {
	return slices.ContainsFunc(profiles, func(p string) bool { return slices.Contains(n.Intent.Chain, p) })
}

// nodesOf are the nodes of these profiles.
func (s *Site) nodesOf(profiles ...string) []Node {
	var out []Node
	for _, n := range s.Nodes {
		if n.is(profiles...) {
			out = append(out, n)
		}
	}
	return out
}

// networksFor names, in order, the networks that serve a role.
func (s *Site) networksFor(role site.NetworkRole) []string {
	var out []string
	for name := range s.Settings.Networks {
		if slices.Contains(s.Settings.RolesOf(name), role) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// addressOn is the node's first address on a network of the role.
func (s *Site) addressOn(n Node, role site.NetworkRole) (netip.Addr, bool) {
	for _, network := range s.networksFor(role) {
		if a, ok := n.Addresses[network]; ok {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// address is where other machines reach the node after the installation.
func (s *Site) address(n Node) (netip.Addr, bool) {
	if a, ok := s.addressOn(n, site.NetManagement); ok {
		return a, true
	}
	return s.Settings.Address(n.Node)
}

func names(nodes []Node) []string {
	out := make([]string, len(nodes))
	for i, n := range nodes {
		out[i] = n.Name
	}
	return out
}

// abbreviate names a few nodes and counts the rest.
func abbreviate(names []string) string {
	const few = 3
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
}

// warnings collects what is said in a comment of the file and on stderr.
type warnings []string

func (w *warnings) add(format string, args ...any) {
	*w = append(*w, oneLine(fmt.Sprintf(format, args...)))
}

// oneLine keeps a text of the plan inside the comment or the value that it
// is written to.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, text)
}

// heading is the comment at the top of a file.
func (s *Site) heading(what string, notes ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s of site %s, written by `rackseed export` from the plan: change the plan, not this file.\n", what, cmp.Or(oneLine(s.Settings.Site), "(without a name)"))
	for _, n := range notes {
		fmt.Fprintf(&b, "# %s\n", n)
	}
	return b.String()
}

func (w warnings) comment() string {
	var b strings.Builder
	for _, text := range w {
		fmt.Fprintf(&b, "# WARNING: %s\n", text)
	}
	return b.String()
}

func toYAML(doc any) (string, error) {
	data, err := yaml.MarshalWithOptions(doc, yaml.IndentSequence(true))
	if err != nil {
		return "", fmt.Errorf("writing YAML: %w", err)
	}
	return string(data), nil
}
