package sheet

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// The kinds of a change.
const (
	Added    = "add"
	Changed  = "change"
	Replaced = "replace" // same name, other hardware
)

// Change is what the sheet changes of one machine.
type Change struct {
	Node   string        `json:"node"`
	Kind   string        `json:"kind"`
	Row    int           `json:"row"`
	Fields []FieldChange `json:"fields"`
}

// FieldChange is one value of a machine before and after; empty for none.
type FieldChange struct {
	Field string `json:"field"`
	Old   string `json:"old,omitempty"`
	New   string `json:"new,omitempty"`
}

// Merge is a plan with the machines of a sheet in it.
type Merge struct {
	Nodes     []site.Node `json:"-"` // those of the plan in their order, then the new ones
	Changes   []Change    `json:"changes"`
	Unchanged int         `json:"unchanged"`
	Missing   []string    `json:"not_in_sheet"` // machines of the plan that the sheet does not have; they stay
	Findings  []Finding   `json:"findings"`
}

// MergeOptions are the operator's decisions.
type MergeOptions struct {
	// Replace reports whether the machine of that name was replaced by
	// another, so that its name may go to new hardware.
	Replace func(name string) bool
	// PasswordFile says where the BMC password of a machine is kept; nil
	// leaves passwords alone.
	PasswordFile func(name string) string
}

// MergeInto puts the rows of the table into the plan. An empty cell changes
// nothing. A machine whose serial number, UUID or MACs all differ from those
// of the plan is other hardware, and is refused unless the operator said so.
func MergeInto(p *site.Plan, t *Table, o MergeOptions) *Merge {
	m := &Merge{Changes: []Change{}, Missing: []string{}, Findings: []Finding{}}
	if p != nil {
		m.Nodes = slices.Clone(p.Nodes)
	}
	index := make(map[string]int, len(m.Nodes))
	for i := range m.Nodes {
		index[m.Nodes[i].Name] = i
	}
	known, seen := identities(p), map[string]bool{}
	m.notePasswords(t, o)
	for i := range t.Rows {
		row := &t.Rows[i]
		at, exists := index[row.Node.Name]
		seen[row.Node.Name] = true
		if o.PasswordFile != nil && row.Password != "" {
			row.Node.BMC.Password = site.SecretRef{File: o.PasswordFile(row.Node.Name)}
		}
		if o.PasswordFile != nil && row.rounded {
			m.Findings = append(m.Findings, t.finding(row, "password-number", "the spreadsheet program took the BMC password for a number: leading zeros may be lost", asText))
			continue
		}
		if f, ok := elsewhere(t, row, known, o); ok {
			m.Findings = append(m.Findings, f)
			continue
		}
		if !exists {
			m.Nodes = append(m.Nodes, row.Node)
			m.Changes = append(m.Changes, Change{row.Node.Name, Added, row.Number, fieldChanges(&site.Node{}, &row.Node)})
			continue
		}
		m.merge(t, row, &m.Nodes[at], o)
	}
	for i := range m.Nodes {
		if !seen[m.Nodes[i].Name] {
			m.Missing = append(m.Missing, m.Nodes[i].Name)
		}
	}
	m.findShared(t)
	return m
}

func (m *Merge) notePasswords(t *Table, o MergeOptions) {
	for i := range t.Columns {
		if c := t.Columns[i]; c.Key == KeyBMCPassword && o.PasswordFile == nil {
			m.Findings = append(m.Findings, Finding{ID: "passwords-not-taken", Severity: site.SeverityWarning, Sheet: t.Sheet, Row: t.Heading, Column: c.Letter, Heading: c.Heading,
				Message: "a plan holds no password: the column is not read", Fix: "write them to files that the plan names: --passwords-to DIR; or write one for all into the plan: bmc: {password: {env: NAME}}"})
		}
	}
}

func (m *Merge) merge(t *Table, row *Row, at *site.Node, o MergeOptions) {
	merged, why := over(at, row)
	kind := Changed
	if why != "" {
		kind = Replaced
		if o.Replace == nil || !o.Replace(at.Name) {
			m.Findings = append(m.Findings, t.finding(row, "hardware-replaced", fmt.Sprintf("%s is other hardware than in the plan: %s", at.Name, why),
				fmt.Sprintf("if the machine was replaced, give --replace %s; if not, correct the sheet", at.Name)))
			return
		}
		for name, nic := range at.NICs {
			if nic.MAC != (site.MAC{}) {
				m.Findings = append(m.Findings, t.finding(row, "replaced-nics", fmt.Sprintf("%s has nics.%s with a MAC address of the machine that was replaced", at.Name, name), "correct nics in the plan first"))
				return
			}
		}
	}
	fields := fieldChanges(at, &merged)
	if len(fields) == 0 {
		m.Unchanged++
		return
	}
	*at = merged
	m.Changes = append(m.Changes, Change{at.Name, kind, row.Number, fields})
}

// elsewhere refuses hardware that the plan knows under another name, unless
// that one was replaced, too.
func elsewhere(t *Table, row *Row, known identity, o MergeOptions) (Finding, bool) {
	for _, name := range known.namesOf(&row.Node) {
		if name != row.Node.Name && (o.Replace == nil || !o.Replace(name)) {
			return t.finding(row, "hardware-elsewhere", fmt.Sprintf("the machine of this row is %s in the plan, and %s in the sheet", name, row.Node.Name),
				fmt.Sprintf("correct the name; or, if the machines changed places, give --replace %s and --replace %s", name, row.Node.Name)), true
		}
	}
	return Finding{}, false
}

// findShared finds identities that the merged plan has twice: machines that
// changed places of which only one is in the sheet.
func (m *Merge) findShared(t *Table) {
	owner := map[string]string{}
	changed := map[string]int{}
	for _, c := range m.Changes {
		changed[c.Node] = c.Row
	}
	claim := func(what, name string) {
		first, taken := owner[what]
		if !taken {
			owner[what] = name
			return
		}
		row := max(changed[name], changed[first])
		if first != name && row > 0 {
			m.Findings = append(m.Findings, t.finding(&Row{Number: row}, "hardware-twice", fmt.Sprintf("%s and %s would both have %s", first, name, what), "give both machines in the sheet"))
		}
	}
	for i := range m.Nodes {
		n := &m.Nodes[i]
		if n.Serial != "" {
			claim("serial number "+n.Serial, n.Name)
		}
		for _, mac := range n.MACs {
			claim("MAC address "+mac.String(), n.Name)
		}
	}
}

func (t *Table) finding(row *Row, id, message, fix string) Finding {
	return Finding{ID: id, Severity: site.SeverityError, Sheet: t.Sheet, Row: row.Number, Message: message, Fix: fix}
}

// over puts what the row says over the planned machine, and tells why it is
// other hardware, if it is.
func over(at *site.Node, row *Row) (merged site.Node, replaced string) {
	n := *at
	s := &row.Node
	switch {
	case s.Serial != "" && n.Serial != "" && s.Serial != bare(n.Serial):
		replaced = fmt.Sprintf("serial number %s, was %s", s.Serial, n.Serial)
	case s.UUID != (site.UUID{}) && n.UUID != (site.UUID{}) && s.UUID != n.UUID:
		replaced = fmt.Sprintf("UUID %s, was %s", s.UUID, n.UUID)
	case len(s.MACs) > 0 && len(n.MACs) > 0 && !slices.ContainsFunc(s.MACs, func(m site.MAC) bool { return slices.Contains(n.MACs, m) }):
		replaced = fmt.Sprintf("MAC address %s, was %s", macs(s.MACs), macs(n.MACs))
	}
	if replaced != "" {
		n.UUID, n.BMC.MAC = site.UUID{}, site.MAC{}
		if len(s.MACs) > 0 {
			n.MACs = nil
		}
	}
	text(&n.Role, s.Role)
	text(&n.Rack, s.Rack)
	text(&n.Serial, s.Serial)
	text(&n.BMC.Username, s.BMC.Username)
	text(&n.BMC.Address, s.BMC.Address)
	if s.U > 0 {
		n.U = s.U
	}
	if s.UUID != (site.UUID{}) {
		n.UUID = s.UUID
	}
	if slices.ContainsFunc(s.MACs, func(m site.MAC) bool { return !slices.Contains(n.MACs, m) }) {
		n.MACs = s.MACs // a sheet with only the NIC that boots says nothing of the others
	}
	if s.BMC.MAC != (site.MAC{}) {
		n.BMC.MAC = s.BMC.MAC
	}
	if s.BMC.Password != (site.SecretRef{}) {
		n.BMC.Password = s.BMC.Password
	}
	if s.Hardware.Memory > 0 {
		n.Hardware.Memory = s.Hardware.Memory
	}
	if len(s.Addresses) > 0 {
		n.Addresses = maps.Clone(n.Addresses)
		if n.Addresses == nil {
			n.Addresses = map[string]netip.Addr{}
		}
		maps.Copy(n.Addresses, s.Addresses)
	}
	return n, replaced
}

// text takes the value of the sheet, but not for a difference that the sheet
// cannot show.
func text(to *string, from string) {
	if from != "" && from != bare(*to) {
		*to = from
	}
}

// fieldChanges compares what a sheet can say.
func fieldChanges(a, b *site.Node) []FieldChange {
	out := []FieldChange{}
	add := func(field, before, after string) {
		if before != after {
			out = append(out, FieldChange{field, before, after})
		}
	}
	add("role", a.Role, b.Role)
	add("rack", a.Rack, b.Rack)
	add("u", number(int64(a.U)), number(int64(b.U)))
	add("serial", a.Serial, b.Serial)
	add("uuid", uuid(a.UUID), uuid(b.UUID))
	add("mac", macs(a.MACs), macs(b.MACs))
	all := maps.Clone(a.Addresses)
	if all == nil {
		all = map[string]netip.Addr{}
	}
	maps.Copy(all, b.Addresses)
	for _, network := range slices.Sorted(maps.Keys(all)) {
		add("addresses."+network, address(a.Addresses[network]), address(b.Addresses[network]))
	}
	add("bmc.address", a.BMC.Address, b.BMC.Address)
	add("bmc.mac", macOf(a.BMC.MAC), macOf(b.BMC.MAC))
	add("bmc.username", a.BMC.Username, b.BMC.Username)
	add("bmc.password", reference(a.BMC.Password), reference(b.BMC.Password))
	add("hardware.memory", number(a.Hardware.Memory), number(b.Hardware.Memory))
	return out
}

func number(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func uuid(u site.UUID) string {
	if u == (site.UUID{}) {
		return ""
	}
	return u.String()
}

func address(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func macs(list []site.MAC) string {
	out := make([]string, len(list))
	for i, m := range list {
		out[i] = m.String()
	}
	return strings.Join(out, " ")
}

func macOf(m site.MAC) string {
	if m == (site.MAC{}) {
		return ""
	}
	return m.String()
}

func reference(r site.SecretRef) string {
	switch {
	case r.Env != "":
		return "env " + r.Env
	case r.File != "":
		return "file " + r.File
	case r.Sealed != "":
		return "sealed"
	default:
		return ""
	}
}
