package sheet

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/rackseed/rackseed/pkg/site"
)

// pending is a run of addresses, 10.1.1.11-50, that the rows below go on
// taking from.
type pending struct {
	from int // row
	cell string
	run  addressCell
	next int
}

var (
	sums         = regexp.MustCompile(`^(合计|总计|小计|总数|total|sum)\b?[:：]?`)
	hostnameForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?$`) })
	excelError   = regexp.MustCompile(`^#(N/A|REF!|VALUE!|NAME\?|DIV/0!|NULL!|NUM!|SPILL!|CALC!)`)
)

// rows reads the machines below the headings.
func (r *reader) rows(heading int) {
	above := map[Key]string{}
	runs := map[int]*pending{}
	last := r.grid.Rows[heading].Last
	r.width = len(r.grid.Rows[heading].Cells)
	for _, row := range r.grid.Rows[heading+1:] {
		if row.Number != last+1 {
			clear(above) // an empty row ends a group; only a merged cell reaches over it
		}
		last = row.Last
		if r.skip(row, heading) {
			r.table.Skipped++
			continue
		}
		r.row(row, above, runs)
	}
	for _, c := range r.table.Columns {
		if run := runs[c.index]; run != nil {
			r.runShort(&c, run)
		}
	}
	r.unlabelled(heading)
	r.nameRows()
}

// first is the first value of the row.
func (r GridRow) first() string {
	for _, c := range r.Cells {
		if !c.Filled && clean(c.Raw) != "" {
			return c.Raw
		}
	}
	return ""
}

// nothing are the words for an empty cell; unlike one, they do not let the
// rack of the row above stand for this one.
const nothing = "- -- — / 无 n/a na none null"

func says(text, words string) bool {
	return text != "" && slices.Contains(strings.Fields(words), strings.ToLower(text))
}

// skip recognises remarks, sums, and headings that are printed again on every
// page.
func (r *reader) skip(row GridRow, heading int) bool {
	first := clean(row.first())
	if first == "" || strings.HasPrefix(first, "#") && !excelError.MatchString(first) || sums.MatchString(strings.ToLower(first)) {
		return true
	}
	for _, c := range r.table.Columns {
		if clean(row.cell(c.index).Raw) != clean(r.grid.Rows[heading].cell(c.index).Raw) {
			return false
		}
	}
	return true
}

func (r *reader) row(g GridRow, above map[Key]string, runs map[int]*pending) {
	if r.tooLong(g) {
		r.find(site.SeverityError, g.Number, nil, "", &problem{"row-too-long", "the row has more cells than there are headings", "put a value that has the delimiter in it, such as a password, into quotation marks"})
		return
	}
	row := Row{Number: g.Number, cells: map[string]int{}}
	empty := true
	for i := range r.table.Columns {
		c := &r.table.Columns[i]
		cell := g.cell(c.index)
		if !c.Key.taken() {
			continue
		}
		text := clean(cell.Raw)
		if c.Key == KeyRack {
			if text == "" {
				cell.Raw = above[KeyRack]
			}
			above[KeyRack] = cell.Raw
		} else if text != "" && !cell.Filled {
			empty = false
		}
		if c.Key != KeyBMCPassword && says(text, nothing) {
			cell.Raw = ""
		}
		p := r.value(&row, c, cell, runs)
		if p != nil {
			r.find(site.SeverityError, g.Number, c, shown(c, cell), p)
			row.bad = true
		}
	}
	if empty {
		r.table.Skipped++
		return
	}
	r.table.Rows = append(r.table.Rows, row)
}

// tooLong reports cells beyond the last heading. Beside passwords, an empty
// one counts, too: a password with an unquoted delimiter moves what follows,
// and a finding about the next cell would show a part of it.
func (r *reader) tooLong(g GridRow) bool {
	secret := r.keyColumn(KeyBMCPassword) != nil && r.grid.Name == ""
	for _, c := range g.Cells[min(r.width, len(g.Cells)):] {
		if secret || clean(c.Raw) != "" && r.grid.Name == "" {
			return true
		}
	}
	return false
}

// unlabelled names, once, each column that has values and no heading.
func (r *reader) unlabelled(heading int) {
	known := map[int]bool{}
	for _, c := range r.table.Columns {
		known[c.index] = true
	}
	for _, row := range r.grid.Rows[heading+1:] {
		for i, c := range row.Cells {
			if known[i] || c.Filled || clean(c.Raw) == "" || r.grid.Name == "" && i >= r.width {
				continue
			}
			known[i] = true
			r.find(site.SeverityWarning, row.Number, &Column{Letter: letters(i)}, "", &problem{"heading-missing", "the column has no heading: it is not read", "write one, or say what it is: --column '@" + letters(i) + "=KEY'"})
		}
	}
}

func shown(c *Column, cell Cell) string {
	if c == nil || c.Key == KeyBMCPassword {
		return ""
	}
	text := []rune(strings.ReplaceAll(cell.Raw, "\n", " "))
	return string(text[:min(len(text), 200)])
}

// shared are the keys whose merged cell is about all the rows that it covers.
// A merged host name or serial number is of one machine, and of which row, the
// sheet says: the first.
func shared(k Key) bool {
	switch k {
	case KeyRack, KeyRole, KeyBMCUser, KeyBMCPassword, KeyMemory:
		return true
	default:
		return false
	}
}

// value reads one cell into the row.
func (r *reader) value(row *Row, c *Column, cell Cell, runs map[int]*pending) *problem {
	if cell.Filled && c.Key != KeyAddress && !shared(c.Key) {
		return nil
	}
	text := cell.text()
	if c.Key == KeyAddress {
		return r.address(row, c, cell, runs)
	}
	if text == "" {
		return nil
	}
	if excelError.MatchString(text) && c.Key != KeyBMCPassword {
		return &problem{"cell-error", fmt.Sprintf("the spreadsheet program could not compute this cell: %s", text), "correct the formula, or write the value"}
	}
	n := &row.Node
	row.cells[string(c.Key)] = c.index
	var p *problem
	switch c.Key {
	case KeyHostname:
		n.Name, p = hostname(text)
	case KeyRole:
		n.Role, p = r.role(text)
	case KeyRack:
		n.Rack = text
	case KeyU:
		n.U, row.top, p = parseU(cell)
	case KeySerial:
		n.Serial, p = parseSerial(cell, r.opts.NumbersAsText)
	case KeyUUID:
		uuid, err := site.ParseUUID(text)
		if err != nil {
			p = &problem{"uuid-malformed", err.Error(), ""}
		}
		n.UUID = uuid
	case KeyMAC:
		var macs []site.MAC
		macs, p = parseMACs(cell)
		n.MACs = append(n.MACs, macs...)
	case KeyBMCAddress:
		n.BMC.Address, p = parseBMCAddress(cell)
	case KeyBMCUser:
		n.BMC.Username = text
	case KeyBMCMAC:
		n.BMC.MAC, p = parseMAC(cell)
	case KeyBMCPassword:
		row.Password, row.rounded = site.Secret(cell.Raw), cell.Number // as it stands: a blank or an apostrophe may belong to it
	case KeyMemory:
		n.Hardware.Memory, p = parseMemory(cell, c.unit)
	}
	return p
}

func hostname(text string) (string, *problem) {
	name := strings.ToLower(text)
	if strings.ContainsAny(name, " []{},") {
		return "", &problem{"hostname-malformed", fmt.Sprintf("%q is not one host name", text), "write one host name in each row, with letters, digits and hyphens"}
	}
	if strings.Contains(name, "_") {
		return "", &problem{"hostname-malformed", fmt.Sprintf("%q has an underscore, which a host name cannot have", text), "write " + strings.ReplaceAll(name, "_", "-")}
	}
	if !hostnameForm().MatchString(name) {
		return "", &problem{"hostname-malformed", fmt.Sprintf("%q is not a host name", text), "use letters, digits and hyphens"}
	}
	return name, nil
}

// address reads an address, or deals out the next one of a run.
func (r *reader) address(row *Row, c *Column, cell Cell, runs map[int]*pending) *problem {
	key := string(KeyAddress) + " " + c.Network
	run := runs[c.index]
	if cell.Filled || cell.text() == "" {
		if run == nil {
			if cell.Filled {
				return &problem{"address-shared", fmt.Sprintf("the merged cell gives %s to several rows", cell.text()), "write an address into each row, or a run of them such as 10.1.1.11-50"}
			}
			return nil
		}
		a, _ := site.AddrAfter(run.run.first, run.next)
		if run.next++; run.next == run.run.size() {
			delete(runs, c.index)
		}
		r.setAddress(row, c.Network, a)
		row.cells[key] = c.index
		return nil
	}
	if run != nil {
		r.runShort(c, run)
		delete(runs, c.index)
	}
	if text := cell.text(); excelError.MatchString(text) {
		return &problem{"cell-error", fmt.Sprintf("the spreadsheet program could not compute this cell: %s", text), "correct the formula, or write the value"}
	}
	a, p := parseAddress(cell)
	if p == nil {
		p = r.sameSubnet(c.Network, a)
	}
	if p != nil {
		return p
	}
	if a.isRun() {
		if cell.Merged > 0 && cell.Merged != a.size() {
			return &problem{"address-run-length", fmt.Sprintf("%d addresses for %d rows", a.size(), cell.Merged), "give the run as many addresses as the merged cell covers rows"}
		}
		runs[c.index] = &pending{from: row.Number, cell: cell.Raw, run: a, next: 1}
	}
	r.setAddress(row, c.Network, a.first)
	row.cells[key] = c.index
	return nil
}

// runShort marks the rows that a run with too many addresses was dealt to:
// whoever wrote it had other rows in mind.
func (r *reader) runShort(c *Column, run *pending) {
	r.find(site.SeverityError, run.from, c, run.cell, &problem{"address-run-length", fmt.Sprintf("%d addresses, and only %d rows from here on to give them to", run.run.size(), run.next), "give the run as many addresses as rows follow with an empty cell"})
	for i := range r.table.Rows {
		if row := &r.table.Rows[i]; row.Number >= run.from && row.Number < run.from+run.next {
			row.bad = true
		}
	}
}

func (r *reader) setAddress(row *Row, network string, a netip.Addr) {
	if row.Node.Addresses == nil {
		row.Node.Addresses = map[string]netip.Addr{}
	}
	row.Node.Addresses[network] = a
}

// duplicates finds what two rows of the sheet both claim.
func (r *reader) duplicates() {
	owners := map[string]int{}
	claim := func(i int, key, what string) {
		if what == "" || strings.HasSuffix(what, " ") {
			return
		}
		row := &r.table.Rows[i]
		first, taken := owners[what]
		if !taken {
			owners[what] = i
			return
		}
		if first == i {
			return
		}
		c := r.keyColumn(KeyHostname)
		if index, ok := row.cells[key]; ok {
			c = r.column(index)
		}
		r.find(site.SeverityError, row.Number, c, shown(c, r.cellAt(row.Number, c)), &problem{"value-duplicate", fmt.Sprintf("%s is in row %d already", what, r.table.Rows[first].Number), "read the labels of both machines again"})
		row.bad, r.table.Rows[first].bad = true, true
	}
	for i := range r.table.Rows {
		n := &r.table.Rows[i].Node
		claim(i, string(KeyHostname), "host name "+n.Name)
		claim(i, string(KeySerial), "serial number "+n.Serial)
		if n.UUID != (site.UUID{}) {
			claim(i, string(KeyUUID), "UUID "+n.UUID.String())
		}
		for _, m := range n.MACs {
			claim(i, string(KeyMAC), "MAC address "+m.String())
		}
		if n.BMC.MAC != (site.MAC{}) {
			claim(i, string(KeyBMCMAC), "MAC address "+n.BMC.MAC.String())
		}
		for network, a := range n.Addresses {
			claim(i, string(KeyAddress)+" "+network, "address "+a.String())
		}
		claim(i, string(KeyBMCAddress), "BMC address "+n.BMC.Address)
	}
	r.overlaps()
}

// overlaps warns of machines in the same rack units; the plan only keeps the
// lowest.
func (r *reader) overlaps() {
	type unit struct {
		rack string
		u    int
	}
	taken := map[unit]int{}
	for i := range r.table.Rows {
		row := &r.table.Rows[i]
		for u := row.Node.U; u > 0 && u <= row.top; u++ {
			at := unit{row.Node.Rack, u}
			if first, ok := taken[at]; ok && first != i {
				c := r.column(row.cells[string(KeyU)])
				r.find(site.SeverityWarning, row.Number, c, shown(c, r.cellAt(row.Number, c)), &problem{"rack-unit-taken", fmt.Sprintf("unit %d of rack %s is taken by row %d", u, at.rack, r.table.Rows[first].Number), "correct rack or unit of one of them"})
				break
			}
			taken[at] = i
		}
	}
}

func (r *reader) column(index int) *Column {
	for i := range r.table.Columns {
		if r.table.Columns[i].index == index {
			return &r.table.Columns[i]
		}
	}
	return &Column{}
}

func (r *reader) cellAt(number int, c *Column) Cell {
	if c == nil {
		return Cell{}
	}
	for _, row := range r.grid.Rows {
		if row.Number == number {
			return row.cell(c.index)
		}
	}
	return Cell{}
}
