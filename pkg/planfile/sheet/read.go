package sheet

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// Options says what a sheet does not say itself.
type Options struct {
	Sheet    string            // name; empty for the only one that has a table
	Columns  map[string]string // heading, or @ and the letter of the column → key or network
	Networks map[string]string // heading → network of its addresses
	Roles    map[string]string // word of the sheet → role of the plan
	Names    []NamingRule      // for machines without a host name
	// NumbersAsText takes serial numbers that the sheet holds as numbers.
	NumbersAsText bool
	Plan          *site.Plan // what there is already; nil for nothing
}

// Table is what was understood of a sheet.
type Table struct {
	Sheet   string   `json:"sheet,omitempty"`
	Heading int      `json:"heading"` // row of the headings
	Columns []Column `json:"columns"`
	Rows    []Row    `json:"-"`
	Skipped int      `json:"skipped"` // rows that are remarks or sums
	// Networks has what cells say about networks beside their addresses.
	Networks map[string]site.Network `json:"-"`
	Findings []Finding               `json:"findings"`
}

// Row is a machine of the sheet. The fields of Node that the sheet does not
// have are zero.
type Row struct {
	Number   int
	Node     site.Node
	Password site.Secret

	top   int            // highest rack unit
	cells map[string]int // column index by what was read from it, for findings
	bad   bool
	// rounded passwords are stored as numbers: leading zeros are lost.
	rounded bool
}

type reader struct {
	opts      Options
	headings  map[Key][]string
	synonyms  map[string]Key
	addresses map[site.NetworkRole][]string
	grid      Grid
	width     int // of the row of headings
	table     *Table
}

// Read reads the machines of a sheet. What is wrong with it is in the
// findings of the table; rows with an error are not among its rows.
func Read(grids []Grid, opts Options) *Table {
	r := newReader(opts)
	if heading, ok := r.choose(grids); ok && r.columns(r.joined(heading)) {
		r.rows(heading)
		r.duplicates()
		r.table.Rows = slices.DeleteFunc(r.table.Rows, func(row Row) bool { return row.bad })
	}
	slices.SortStableFunc(r.table.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Row, b.Row), cmp.Compare(len(a.Column), len(b.Column)), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Message, b.Message))
	})
	return r.table
}

func newReader(opts Options) *reader {
	r := &reader{opts: opts, headings: Headings(), addresses: Addresses(), synonyms: map[string]Key{}}
	r.table = &Table{Networks: map[string]site.Network{}, Findings: []Finding{}}
	for key, words := range r.headings {
		for _, w := range words {
			r.synonyms[w] = key
		}
	}
	return r
}

func (r *reader) find(severity site.Severity, row int, c *Column, cell string, p *problem) {
	f := Finding{ID: p.id, Severity: severity, Sheet: r.grid.Name, Row: row, Message: p.message, Fix: p.fix, Cell: cell}
	if c != nil {
		f.Column, f.Heading = c.Letter, c.Heading
		f.Fix = strings.ReplaceAll(f.Fix, "HEADING", c.Heading)
		if c.Key == KeyBMCPassword {
			f.Cell = ""
		}
	}
	r.table.Findings = append(r.table.Findings, f)
}

// headingRows is how far down the headings may stand.
const headingRows = 30

// choose finds the sheet and in it the row of the headings: the first that
// has the most words which headings have.
func (r *reader) choose(grids []Grid) (int, bool) {
	found, heading := []Grid{}, 0
	for _, g := range grids {
		if r.opts.Sheet != "" && g.Name != r.opts.Sheet {
			continue
		}
		if i, ok := r.headingRow(g); ok {
			found, heading = append(found, g), i
		} else {
			r.grid = g
			if r.opts.Sheet == "" && len(g.Rows) > 0 && len(grids) > 1 {
				r.find(site.SeverityWarning, 0, nil, "", &problem{"sheet-without-table", "no row has headings that are known: this sheet is not read", ""})
			}
		}
	}
	r.grid = Grid{}
	switch len(found) {
	case 1:
		r.grid = found[0]
		r.table.Sheet = found[0].Name
		return heading, true
	case 0:
		if r.opts.Sheet != "" && !slices.ContainsFunc(grids, func(g Grid) bool { return g.Name == r.opts.Sheet }) {
			r.find(site.SeverityError, 0, nil, "", &problem{"sheet-unknown", fmt.Sprintf("there is no sheet %q", r.opts.Sheet), "the sheets are " + names(grids)})
			return 0, false
		}
		r.find(site.SeverityError, 0, nil, "", &problem{"headings-missing", fmt.Sprintf("none of the first %d rows has two headings that are known", headingRows),
			"name the columns, such as 主机名, 序列号, MAC地址, 角色 or hostname, serial, mac, role"})
	default:
		r.find(site.SeverityError, 0, nil, "", &problem{"sheet-ambiguous", fmt.Sprintf("%d sheets have a table", len(found)), "say which: --sheet with one of " + names(found)})
	}
	return 0, false
}

func names(grids []Grid) string {
	out := make([]string, len(grids))
	for i, g := range grids {
		out[i] = g.Name
	}
	return strings.Join(out, ", ")
}

func (r *reader) headingRow(g Grid) (int, bool) {
	best, most := 0, 1
	for i, row := range g.Rows[:min(len(g.Rows), headingRows)] {
		known := map[string]bool{}
		for j, c := range row.Cells {
			if c.Filled {
				continue
			}
			_, byFlag := r.flag(Column{Heading: clean(c.Raw), Letter: letters(j)})
			key, _, p := r.columnKey(c.Raw)
			if key != "" || p != nil || byFlag && clean(c.Raw) != "" {
				known[normal(c.Raw)] = true
			}
		}
		if len(known) > most {
			best, most = i, len(known)
		}
	}
	return best, most > 1
}

// joined takes two rows of headings for one. Above the row may stand what
// several columns have in common, 带外 over IP and MAC; below it what tells
// columns of one heading apart, 管理 over IP地址. Words that mean something
// together do; the others stay what they are alone.
func (r *reader) joined(heading int) int {
	r.grid.Rows = slices.Clone(r.grid.Rows)
	row := &r.grid.Rows[heading]
	row.Cells = slices.Clone(row.Cells)
	if heading > 0 && r.groups(r.grid.Rows[heading-1], *row) {
		group := ""
		for i := range row.Cells {
			if text := clean(r.grid.Rows[heading-1].cell(i).Raw); text != "" {
				group = text
			}
			r.join(&row.Cells[i], group, clean(row.Cells[i].Raw))
		}
	}
	if heading+1 < len(r.grid.Rows) && r.headsOn(*row, r.grid.Rows[heading+1]) {
		below := r.grid.Rows[heading+1]
		for i := range below.Cells {
			if text := clean(below.Cells[i].Raw); text != "" && i < len(row.Cells) && r.alone(i, row.Cells[i].Raw) == "" {
				r.join(&row.Cells[i], clean(row.Cells[i].Raw), text)
			}
		}
		row.Last = below.Last
		r.grid.Rows = slices.Delete(r.grid.Rows, heading+1, heading+2)
	}
	return heading
}

func (r *reader) join(c *Cell, first, second string) {
	if key, _, p := r.columnKey(first + second); first != "" && second != "" && (key != "" || p != nil) {
		c.Raw = first + second
	}
}

// alone is what a column means without another row, as flags or words say it.
func (r *reader) alone(i int, heading string) Key {
	if _, given := r.flag(Column{Letter: letters(i), Heading: clean(heading)}); given {
		return KeyIgnore
	}
	key, _, _ := r.columnKey(heading)
	return key
}

// groups reports a row of words that stand over others; a title is one.
func (r *reader) groups(above, row GridRow) bool {
	words := 0
	for _, c := range above.Cells {
		if clean(c.Raw) != "" {
			words++
		}
	}
	return words > 1 && above.Last+1 == row.Number
}

// headsOn reports that the row below goes on with the headings: it says
// nothing where a heading is known, and what it says makes one known.
func (r *reader) headsOn(row, below GridRow) bool {
	found := false
	for i := range below.Cells {
		text := clean(below.Cells[i].Raw)
		switch {
		case text == "" || below.Cells[i].Filled:
		case i >= len(row.Cells) || r.alone(i, row.Cells[i].Raw) != "":
			return false
		default:
			key, _, p := r.columnKey(clean(row.Cells[i].Raw) + text)
			found = found || key != "" || p != nil
		}
	}
	return found
}

// flag gives what --column or --network says about a column.
func (r *reader) flag(c Column) (string, bool) {
	for name, value := range r.opts.Columns {
		if name == "@"+c.Letter || c.Heading != "" && normal(name) == normal(c.Heading) {
			return value, true
		}
	}
	return "", false
}

func (r *reader) networkFlag(c Column) (string, bool) {
	for name, value := range r.opts.Networks {
		if name == "@"+c.Letter || c.Heading != "" && normal(name) == normal(c.Heading) {
			return value, true
		}
	}
	return "", false
}

// columns finds what each column means. Findings here stop the import: with
// a column misread, every row is.
func (r *reader) columns(heading int) bool {
	row := r.grid.Rows[heading]
	r.table.Heading = row.Number
	for i := range row.Cells {
		c := Column{Letter: letters(i), Heading: clean(row.Cells[i].Raw), index: i}
		var p *problem
		switch value, ok := r.flag(c); {
		case ok && value != "":
			c.Key, c.Network, p = r.given(c.Heading, value)
		default:
			if name, ok := r.networkFlag(c); ok {
				c.Key, c.Network, p = r.network(c.Heading, name)
			} else {
				c.Key, c.Network, p = r.columnKey(c.Heading)
			}
		}
		if c.Heading == "" && c.Key == "" {
			continue
		}
		if m := unitNote.FindString(normal(c.Heading)); c.Key == KeyMemory && m != "" {
			c.unit = strings.Trim(m, "()")
		}
		r.table.Columns = append(r.table.Columns, c)
		switch {
		case p != nil:
			r.find(site.SeverityError, row.Number, &c, c.Heading, p)
		case c.Key == "":
			r.find(site.SeverityWarning, row.Number, &c, c.Heading, &problem{"heading-unknown", "this heading is not known: the column is not read", "say what it is: --column 'HEADING=KEY' with one of " + keyList() + " or a network"})
		case !c.Key.taken() && c.Key != KeyIgnore:
			r.find(site.SeverityWarning, row.Number, &c, c.Heading, &problem{"column-not-in-plan", "a plan has no place for this: the column is not read", ""})
		}
	}
	r.checkFlags(row.Number)
	r.checkTwice(row.Number)
	r.checkIdentity(row.Number)
	return !HasErrors(r.table.Findings)
}

func (r *reader) checkIdentity(row int) {
	for _, c := range r.table.Columns {
		if c.Key == KeyHostname || c.Key == KeySerial || c.Key == KeyMAC || c.Key == KeyUUID {
			return
		}
	}
	r.find(site.SeverityError, row, nil, "", &problem{"identity-missing", "no column has host names, serial numbers or MAC addresses: the rows cannot be told apart", "say which it is: --column 'HEADING=hostname'"})
}

// checkFlags names the flags that are about no column.
func (r *reader) checkFlags(row int) {
	for _, flags := range []map[string]string{r.opts.Columns, r.opts.Networks} {
		for name := range flags {
			if !slices.ContainsFunc(r.table.Columns, func(c Column) bool { return name == "@"+c.Letter || normal(name) == normal(c.Heading) }) {
				r.find(site.SeverityError, row, nil, name, &problem{"column-missing", fmt.Sprintf("a flag names the column %q, which the sheet does not have", name), "check the heading, or name the column by its letter: @C"})
			}
		}
	}
}

// checkTwice refuses two columns for one thing. Columns mac1 and mac2 are two
// NICs; two called mac are a question.
func (r *reader) checkTwice(row int) {
	seen := map[string]Column{}
	for _, c := range r.table.Columns {
		if !c.Key.taken() || c.Key == KeyAddress && c.Network == "" {
			continue
		}
		what := string(c.Key) + " " + c.Network
		if c.Key == KeyMAC {
			what += normal(c.Heading)
		}
		if first, twice := seen[what]; twice {
			r.find(site.SeverityError, row, &c, c.Heading, &problem{"column-duplicate", fmt.Sprintf("columns %s (%s) and %s (%s) are both read as %s", first.Letter, first.Heading, c.Letter, c.Heading, strings.TrimSpace(string(c.Key)+" "+c.Network)),
				fmt.Sprintf("leave one out: --column '@%s=ignore' or --column '@%s=ignore'", first.Letter, c.Letter)})
			continue
		}
		seen[what] = c
	}
}

// sameSubnet keeps what cells say about a network, and refuses what
// contradicts the plan or an earlier cell.
func (r *reader) sameSubnet(network string, a addressCell) *problem {
	known, inPlan := r.networks()[network]
	if !inPlan {
		known = r.table.Networks[network]
	}
	if a.prefix.IsValid() && known.Subnet.IsValid() && a.prefix != known.Subnet {
		return &problem{"subnet-mismatch", fmt.Sprintf("the cell puts network %s into %s, and %s says %s", network, a.prefix, source(inPlan), known.Subnet), "correct the one that is wrong"}
	}
	if a.gateway.IsValid() && known.Gateway.IsValid() && a.gateway != known.Gateway {
		return &problem{"gateway-mismatch", fmt.Sprintf("the cell gives network %s the gateway %s, and %s says %s", network, a.gateway, source(inPlan), known.Gateway), "correct the one that is wrong"}
	}
	if subnet := firstPrefix(known.Subnet, a.prefix); a.first.IsValid() && subnet.IsValid() && (!subnet.Contains(a.first) || !subnet.Contains(a.last)) {
		return &problem{"address-outside-subnet", fmt.Sprintf("%s is not in %s, the subnet of network %s", a.first, subnet, network), "correct the address, or say which network it is: --column 'HEADING=NETWORK'"}
	}
	if !inPlan {
		known.Subnet = firstPrefix(known.Subnet, a.prefix)
		if !known.Gateway.IsValid() {
			known.Gateway = a.gateway
		}
		r.table.Networks[network] = known
	}
	return nil
}

func firstPrefix(a, b netip.Prefix) netip.Prefix {
	if a.IsValid() {
		return a
	}
	return b
}

func source(inPlan bool) string {
	if inPlan {
		return "the plan"
	}
	return "an earlier row"
}
