package planfile

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml/ast"
)

// AddRole gives the text of the plan with one more role, which begins as a
// copy of another as that is written: profile, image, parameters, networks and
// disks. It stands behind the other one, and everything else stays as it is.
// A layout that this cannot keep is an error.
func (d *Document) AddRole(name, from string) ([]byte, error) {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return nil, fmt.Errorf("%q is not usable as the name of a role: use lower-case letters, digits and hyphens", name)
	}
	doc, err := Parse(d.src.name, []byte(strings.Join(d.src.lines, "\n")))
	if err != nil {
		return nil, fmt.Errorf("editing the plan: %w", err)
	}
	roles := pairOf(doc.root, "roles")
	if roles == nil || pairOf(roles.Value, from) == nil {
		return nil, fmt.Errorf("the plan has no role %s", from)
	}
	if pairOf(roles.Value, name) != nil {
		return nil, fmt.Errorf("the plan has a role %s already: change that, or take another name", name)
	}
	e := &parameterEditor{lines: slices.Clone(doc.src.lines), role: from}
	if err := e.copyRole(roles.Value, pairOf(roles.Value, from), yamlOf(name)); err != nil {
		return nil, err
	}
	end := "\n"
	if strings.Contains(d.src.text, "\r\n") {
		end = "\r\n"
	}
	text := []byte(strings.Join(e.lines, end))
	back, err := Parse(d.src.name, text)
	if err != nil {
		return nil, fmt.Errorf("editing the plan: the result does not read back: %w", err)
	}
	wanted := *d.Plan
	wanted.Roles = maps.Clone(wanted.Roles)
	wanted.Roles[name] = wanted.Roles[from]
	if digest, err := digestOf(&wanted); err != nil || digest != back.Digest {
		return nil, errLayout(from)
	}
	return text, nil
}

// copyRole writes a role once more under another key: on the lines behind it,
// or behind the last in the braces of all roles.
func (e *parameterEditor) copyRole(roles ast.Node, role *ast.MappingValueNode, key string) error {
	first, last := role.Key.GetToken().Position, lastPosition(role.Value)
	if m, ok := roles.(*ast.MappingNode); ok && m.IsFlowStyle {
		if m.End == nil || first.Line != last.Line {
			return errLayout(e.role)
		}
		value := valueText([]rune(e.lines[first.Line-1]), role, last.Column)
		return e.splice(m.End.Position, "}", ", "+key+": "+value, 0)
	}
	block := slices.Clone(e.lines[first.Line-1 : last.Line])
	head := []rune(block[0])
	stop := len(head)
	if first.Line == last.Line {
		stop = last.Column // a comment behind it is about that one
	}
	block[0] = string(head[:first.Column-1]) + key + ": " + valueText(head, role, stop)
	block[0] = strings.TrimRight(block[0], " ")
	e.lines = slices.Insert(e.lines, last.Line, block...)
	return nil
}

// valueText is what stands behind the key of a role on its line.
func valueText(line []rune, role *ast.MappingValueNode, stop int) string {
	t := role.Key.GetToken()
	at := t.Position.Column - 1 + len([]rune(strings.TrimSpace(t.Origin)))
	return strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(string(line[min(at, len(line)):min(stop, len(line))])), ":"))
}
