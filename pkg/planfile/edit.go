package planfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"

	"github.com/rackseed/rackseed/pkg/site"
)

// Edit gives the text of the plan with its nodes changed to those, and what
// it had to write anew. Nodes that are there already change where they stand,
// line by line, so that comments stay; new ones follow at the end. A node can
// not be taken out.
//
// One machine of a range cannot differ from the rest: if one does, the range
// is written out machine by machine.
func (d *Document) Edit(nodes []site.Node) (text []byte, notes []string, err error) {
	end := "\n"
	if strings.ContainsRune(d.src.text, '\r') {
		if strings.Contains(d.src.text, "\r\n") {
			end = "\r\n"
		}
		// The places of the tree are those of a file with plain line ends.
		if d, err = Parse(d.src.name, []byte(strings.Join(d.src.lines, "\n"))); err != nil {
			return nil, nil, fmt.Errorf("editing the plan: %w", err)
		}
	}
	e := &editor{doc: d, lines: slices.Clone(d.src.lines), comments: commentColumns(d.src.text)}
	if err := e.locate(); err != nil {
		return nil, nil, err
	}
	planned := map[string]bool{}
	for i := range d.Plan.Nodes {
		planned[d.Plan.Nodes[i].Name] = true
	}
	wanted, added := make(map[string]*site.Node, len(nodes)), []string{}
	for i := range nodes {
		n := &nodes[i]
		wanted[n.Name] = n
		if !planned[n.Name] {
			lines, err := e.block(n)
			if err != nil {
				return nil, nil, err
			}
			added = append(added, lines...)
		}
	}
	if err := e.change(wanted); err != nil {
		return nil, nil, err
	}
	e.add(added)
	text = e.text(end)
	if err := sameNodes(d.src.name, text, nodes); err != nil {
		return nil, nil, err
	}
	return text, e.notes, nil
}

// editor collects changes to lines. Line numbers count from zero.
type editor struct {
	doc      *Document
	lines    []string
	comments map[int]int // line → column of the comment at its end
	notes    []string

	entries []entryPlace
	indent  string // of the dash
	end     int    // line after the last entry
	edits   []edit
}

type entryPlace struct {
	node     ast.Node
	from, to int
}

// edit replaces the lines from up to, but without, to.
type edit struct {
	from, to int
	with     []string
}

var errFlowPlan = errors.New("the nodes of the plan are not written one below the other: write each as an entry of its own, - name: HOSTNAME")

func (e *editor) locate() error {
	e.indent, e.end = "  ", len(e.lines)
	if m, ok := e.doc.root.(*ast.MappingNode); ok && m.IsFlowStyle {
		return errFlowPlan
	}
	var nodes *ast.MappingValueNode
	for _, v := range pairs(e.doc.root) {
		if key, _ := keyText(v); key == "nodes" {
			nodes = v
		}
	}
	if nodes == nil {
		e.edits = append(e.edits, edit{e.end, e.end, []string{"", "nodes:"}})
		return nil
	}
	at := nodes.Key.GetToken().Position.Line - 1
	for _, v := range pairs(e.doc.root) {
		if line := v.Key.GetToken().Position.Line - 1; line > at {
			e.end = min(e.end, line)
		}
	}
	list, ok := nodes.Value.(*ast.SequenceNode)
	if !ok || list.IsFlowStyle {
		if ok && len(list.Values) > 0 {
			return errFlowPlan
		}
		e.end = at + 1
		e.edits = append(e.edits, edit{at, at + 1, []string{"nodes:" + e.comment(at)}})
		return nil
	}
	for _, n := range list.Values {
		from := place(n).Line - 1
		for from > at && !strings.HasPrefix(strings.TrimSpace(e.lines[from]), "-") {
			from--
		}
		e.entries = append(e.entries, entryPlace{node: n, from: from})
	}
	for i := range e.entries {
		to := e.end
		if i+1 < len(e.entries) {
			to = e.entries[i+1].from
		}
		e.entries[i].to = e.trim(e.entries[i].from, to)
	}
	if last := len(e.entries) - 1; last >= 0 {
		first := e.lines[e.entries[0].from]
		e.indent = first[:strings.IndexByte(first, '-')]
		e.end = e.entries[last].to
	}
	return nil
}

// trim leaves out empty lines and comments at the end: they belong to what
// follows.
func (e *editor) trim(from, to int) int {
	for to > from+1 {
		line := strings.TrimSpace(e.lines[to-1])
		if line != "" && line[0] != '#' {
			break
		}
		to--
	}
	return to
}

func (e *editor) comment(line int) string {
	column, ok := e.comments[line]
	if !ok {
		return ""
	}
	text := []rune(e.lines[line])
	column = min(column, len(text))
	for column > 0 && text[column-1] == ' ' {
		column--
	}
	return string(text[column:])
}

// commentColumns finds the comments; what looks like one can be text.
func commentColumns(text string) map[int]int {
	out := map[int]int{}
	for _, t := range lexer.Tokenize(text) {
		if t.Type == token.CommentType {
			out[t.Position.Line-1] = t.Position.Column - 1
		}
	}
	return out
}

func (e *editor) change(wanted map[string]*site.Node) error {
	byPlace := map[string][]*site.Node{}
	for i := range e.doc.Plan.Nodes {
		n := &e.doc.Plan.Nodes[i]
		byPlace[n.Place] = append(byPlace[n.Place], n)
	}
	for i, entry := range e.entries {
		old := byPlace[fmt.Sprintf("nodes[%d]", i)]
		differs := false
		for _, n := range old {
			w, ok := wanted[n.Name]
			if !ok {
				return fmt.Errorf("editing the plan: node %s cannot be taken out", n.Name)
			}
			differs = differs || !sameEntry(n, w)
		}
		if !differs {
			continue
		}
		if len(old) == 1 && isBlock(entry.node) {
			done, err := e.changeFields(entry, old[0], wanted[old[0].Name])
			if err != nil {
				return err
			}
			if done {
				continue
			}
		}
		if err := e.rewrite(entry, old, wanted); err != nil {
			return err
		}
	}
	return nil
}

func isBlock(n ast.Node) bool {
	m, ok := n.(*ast.MappingNode)
	return ok && !m.IsFlowStyle
}

// changeFields changes the lines of the keys that differ. It gives up, done
// is false, on layouts that are not worth it.
func (e *editor) changeFields(entry entryPlace, old, wanted *site.Node) (done bool, err error) {
	before, err1 := entryFields(old)
	after, err2 := entryFields(wanted)
	if err := errors.Join(err1, err2); err != nil {
		return false, err
	}
	spans, column := e.spans(entry)
	if spans["name"].to == 0 || !strings.HasPrefix(strings.TrimSpace(e.lines[entry.from]), "- ") {
		return false, nil
	}
	var edits []edit
	last := spans["name"].to
	for i := range after {
		at, given := spans[after[i].key]
		if given {
			last = at.to
		}
		if before[i] == after[i] {
			continue
		}
		line := strings.Repeat(" ", column) + after[i].key + ": " + after[i].value
		switch {
		case given && after[i].value == "":
			if at.from == entry.from {
				return false, nil
			}
			edits = append(edits, edit{at.from, at.to, nil})
		case given:
			if at.from == entry.from {
				line = e.lines[at.from][:column] + strings.TrimLeft(line, " ")
			}
			if at.to == at.from+1 {
				line += e.comment(at.from)
			}
			edits = append(edits, edit{at.from, at.to, []string{line}})
		default:
			edits = append(edits, edit{last, last, []string{line}})
		}
	}
	e.edits = append(e.edits, edits...)
	return true, nil
}

// spans gives the lines of each key of an entry, and the indentation of its
// keys.
func (e *editor) spans(entry entryPlace) (map[string]edit, int) {
	values := pairs(entry.node)
	out, column := map[string]edit{}, 0
	for i, v := range values {
		at := v.Key.GetToken().Position
		column = at.Column - 1
		to := entry.to
		if i+1 < len(values) {
			to = values[i+1].Key.GetToken().Position.Line - 1
		}
		key, _ := keyText(v)
		out[key] = edit{from: at.Line - 1, to: e.trim(at.Line-1, to)}
	}
	return out, column
}

func (e *editor) rewrite(entry entryPlace, old []*site.Node, wanted map[string]*site.Node) error {
	var lines []string
	for _, n := range old {
		fields, err := entryFields(wanted[n.Name])
		if err != nil {
			return err
		}
		var pairs []string
		for _, f := range fields {
			if f.value != "" {
				pairs = append(pairs, f.key+": "+f.value)
			}
		}
		lines = append(lines, e.indent+"- "+flow(pairs))
	}
	if len(old) > 1 {
		e.notes = append(e.notes, fmt.Sprintf("line %d: the entry of %d machines (%s) is written out machine by machine", entry.from+1, len(old), old[0].Name+" to "+old[len(old)-1].Name))
	} else {
		e.notes = append(e.notes, fmt.Sprintf("line %d: the entry of %s is written anew", entry.from+1, old[0].Name))
	}
	e.edits = append(e.edits, edit{entry.from, entry.to, lines})
	return nil
}

// block writes a new entry.
func (e *editor) block(n *site.Node) ([]string, error) {
	fields, err := entryFields(n)
	if err != nil {
		return nil, err
	}
	var lines []string
	prefix := e.indent + "- "
	for _, f := range fields {
		if f.value != "" {
			lines = append(lines, prefix+f.key+": "+f.value)
			prefix = e.indent + "  "
		}
	}
	return lines, nil
}

func (e *editor) add(lines []string) {
	if len(lines) > 0 {
		e.edits = append(e.edits, edit{e.end, e.end, lines})
	}
}

// text applies the edits from the end of the file to its start. Those at one
// place keep their order.
func (e *editor) text(end string) []byte {
	slices.SortStableFunc(e.edits, func(a, b edit) int { return a.from - b.from })
	lines := e.lines
	for i := len(e.edits) - 1; i >= 0; i-- {
		ed := e.edits[i]
		lines = slices.Concat(lines[:ed.from], ed.with, lines[ed.to:])
	}
	text := strings.Join(lines, end)
	if !strings.HasSuffix(text, end) {
		text += end
	}
	return []byte(text)
}

// sameNodes reads the text back: a plan that says something else than was
// meant is never written.
func sameNodes(name string, text []byte, nodes []site.Node) error {
	doc, err := Parse(name, text)
	if err != nil {
		return fmt.Errorf("editing the plan: the result does not read back: %w", err)
	}
	wanted := make(map[string]*site.Node, len(nodes))
	for i := range nodes {
		wanted[nodes[i].Name] = &nodes[i]
	}
	for i := range doc.Plan.Nodes {
		n := &doc.Plan.Nodes[i]
		w, ok := wanted[n.Name]
		if !ok || !sameEntry(n, w) {
			return fmt.Errorf("editing the plan: %s does not read back as it was meant: write its entry below nodes one key on each line", n.Name)
		}
		delete(wanted, n.Name)
	}
	for n := range wanted {
		return fmt.Errorf("editing the plan: %s does not read back", n)
	}
	return nil
}

// sameEntry compares nodes as the log keeps them.
func sameEntry(a, b *site.Node) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}
