package planfile

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// SetParameters gives the text of the plan with parameters of a role set; one
// whose value is nil is left to the profile again. Everything else stays as it
// is written, comments too, but for those that the notes name. A layout that
// this cannot keep is an error.
func (d *Document) SetParameters(role string, set map[string]any) (text []byte, notes []string, err error) {
	end := "\n"
	if strings.Contains(d.src.text, "\r\n") {
		end = "\r\n"
	}
	doc := d
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if doc, err = Parse(d.src.name, []byte(strings.Join(doc.src.lines, "\n"))); err != nil {
			return nil, nil, fmt.Errorf("editing the plan: %w", err)
		}
		e := &parameterEditor{lines: slices.Clone(doc.src.lines), role: role, name: name}
		if err := e.edit(doc.root, set[name]); err != nil {
			return nil, nil, err
		}
		notes = append(notes, e.notes...)
		doc = &Document{src: newSource(d.src.name, []byte(strings.Join(e.lines, "\n")))}
	}
	text = []byte(strings.Join(doc.src.lines, end))
	return text, notes, d.sameBut(role, set, text)
}

// sameBut reads the text back: a plan that says something else than was meant
// is never shown.
func (d *Document) sameBut(role string, set map[string]any, text []byte) error {
	back, err := Parse(d.src.name, text)
	if err != nil {
		return fmt.Errorf("editing the plan: the result does not read back: %w", err)
	}
	wanted := *d.Plan
	wanted.Roles = maps.Clone(wanted.Roles)
	r := wanted.Roles[role]
	r.Set = maps.Clone(r.Set)
	if r.Set == nil {
		r.Set = map[string]any{}
	}
	for name, value := range set {
		if r.Set[name] = value; value == nil {
			delete(r.Set, name)
		}
	}
	wanted.Roles[role] = r
	if digest, err := digestOf(&wanted); err != nil || digest != back.Digest {
		return errLayout(role)
	}
	return nil
}

func errLayout(role string) error {
	return fmt.Errorf("the parameters of role %s are written in a way that only a person can change: edit the text of the plan", role)
}

// parameterEditor changes one parameter of one role in the lines of a plan.
type parameterEditor struct {
	lines      []string
	role, name string
	notes      []string
}

func (e *parameterEditor) edit(root ast.Node, value any) error {
	roles := pairOf(root, "roles")
	if roles == nil || pairOf(roles.Value, e.role) == nil {
		return fmt.Errorf("the plan has no role %s", e.role)
	}
	role := pairOf(roles.Value, e.role).Value
	set := pairOf(role, "set")
	if set == nil {
		if value == nil {
			return nil
		}
		return e.insert(role, "set", "{"+e.pair(value)+"}", "profile")
	}
	given := pairOf(set.Value, e.name)
	switch {
	case given == nil && value == nil:
		return nil
	case given == nil:
		return e.insert(set.Value, e.name, yamlOf(value), "")
	case value == nil:
		return e.remove(role, set, given)
	default:
		return e.replace(given.Value, yamlOf(value))
	}
}

func (e *parameterEditor) pair(value any) string { return e.name + ": " + yamlOf(value) }

func pairOf(n ast.Node, key string) *ast.MappingValueNode {
	for _, v := range pairs(n) {
		if k, ok := keyText(v); ok && k == key {
			return v
		}
	}
	return nil
}

// insert adds a pair to a mapping: in its braces, or on a line of its own
// behind a key, behind the last that is on one line, or before the first.
func (e *parameterEditor) insert(mapping ast.Node, key, value, behind string) error {
	if m, ok := mapping.(*ast.MappingNode); ok && m.IsFlowStyle {
		if m.End == nil {
			return errLayout(e.role)
		}
		text := key + ": " + value
		if len(m.Values) > 0 {
			text = ", " + text
		}
		return e.splice(m.End.Position, "}", text, 0)
	}
	values := pairs(mapping)
	if len(values) == 0 {
		return errLayout(e.role)
	}
	first := values[0].Key.GetToken().Position
	line := strings.Repeat(" ", first.Column-1) + key + ": " + value
	at := first.Line - 1
	anchor := values[len(values)-1]
	if v := pairOf(mapping, behind); behind != "" && v != nil {
		anchor = v
	}
	if t, ok := scalar(anchor.Value); ok && t.Position.Line == anchor.Key.GetToken().Position.Line {
		at = t.Position.Line
	}
	e.lines = slices.Insert(e.lines, at, line)
	return nil
}

// splice puts text before, or in place of, what stands at a position.
func (e *parameterEditor) splice(at *token.Position, have, text string, drop int) error {
	line := []rune(e.lines[at.Line-1])
	column := at.Column - 1
	if column > len(line) || !strings.HasPrefix(string(line[column:]), have) {
		return errLayout(e.role)
	}
	before := line[:column]
	if drop == 0 { // {a: 1 } has its blank behind what is added
		before = []rune(strings.TrimRight(string(before), " "))
	}
	e.lines[at.Line-1] = string(before) + text + string(line[column+drop:])
	return nil
}

func (e *parameterEditor) replace(old ast.Node, text string) error {
	if t, ok := scalar(old); ok {
		raw := strings.TrimSpace(t.Origin)
		if strings.Contains(raw, "\n") {
			return errLayout(e.role)
		}
		return e.splice(t.Position, raw, text, len([]rune(raw)))
	}
	list, ok := old.(*ast.SequenceNode)
	if !ok || !list.IsFlowStyle || list.End == nil || list.Start.Position.Line != list.End.Position.Line {
		return errLayout(e.role)
	}
	return e.splice(list.Start.Position, "[", text, list.End.Position.Column-list.Start.Position.Column+1)
}

// remove takes a parameter out, and set with the last of them.
func (e *parameterEditor) remove(role ast.Node, set, given *ast.MappingValueNode) error {
	if len(pairs(set.Value)) == 1 {
		return e.removePair(role, set)
	}
	return e.removePair(set.Value, given)
}

func (e *parameterEditor) removePair(mapping ast.Node, pair *ast.MappingValueNode) error {
	from, to := pair.Key.GetToken().Position, lastPosition(pair.Value)
	m, ok := mapping.(*ast.MappingNode)
	if !ok || !m.IsFlowStyle {
		for _, line := range e.lines[from.Line-1 : to.Line] {
			if _, comment, found := strings.Cut(line, " #"); found {
				e.notes = append(e.notes, fmt.Sprintf("line %d: its comment goes with it: #%s", from.Line, comment))
			}
		}
		e.lines = slices.Delete(e.lines, from.Line-1, to.Line)
		return nil
	}
	if m.End == nil || m.Start.Position.Line != m.End.Position.Line {
		return errLayout(e.role)
	}
	line := []rune(e.lines[from.Line-1])
	var kept []string
	for i, v := range m.Values {
		stop := m.End.Position.Column - 1
		if i+1 < len(m.Values) {
			stop = m.Values[i+1].Key.GetToken().Position.Column - 1
		}
		if v != pair {
			kept = append(kept, strings.TrimRight(string(line[v.Key.GetToken().Position.Column-1:stop]), ", "))
		}
	}
	e.lines[from.Line-1] = string(line[:m.Start.Position.Column]) + strings.Join(kept, ", ") + string(line[m.End.Position.Column-1:])
	return nil
}

// lastPosition is where the last token of a value stands.
func lastPosition(n ast.Node) *token.Position {
	switch v := n.(type) {
	case *ast.MappingNode:
		if v.IsFlowStyle && v.End != nil {
			return v.End.Position
		}
		return lastPosition(v.Values[len(v.Values)-1].Value)
	case *ast.MappingValueNode:
		return lastPosition(v.Value)
	case *ast.SequenceNode:
		if v.IsFlowStyle && v.End != nil {
			return v.End.Position
		}
		if len(v.Values) > 0 {
			return lastPosition(v.Values[len(v.Values)-1])
		}
	}
	return n.GetToken().Position
}

// yamlOf writes a value on one line.
func yamlOf(value any) string {
	switch v := value.(type) {
	case string:
		if v == "" {
			return `""`
		}
		return quote(v)
	case []any:
		words := make([]string, len(v))
		for i, item := range v {
			words[i] = yamlOf(item)
		}
		return "[" + strings.Join(words, ", ") + "]"
	default:
		text, err := json.Marshal(v)
		if err != nil {
			return "null" // which does not read back as it was meant
		}
		return string(text)
	}
}
