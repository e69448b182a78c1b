package planfile

import (
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Position is where the value of a path stands, such as
// nodes[3].addresses.provision; for what the file does not have, the nearest
// thing around it. Lines and columns count from one.
func (d *Document) Position(path string) (line, column int) {
	at := d.root
	for rest := path; rest != ""; {
		next, left, ok := step(at, strings.TrimPrefix(rest, "."))
		if !ok {
			break
		}
		at, rest = next, left
	}
	p := place(at)
	return p.Line, p.Column
}

func step(n ast.Node, path string) (ast.Node, string, bool) {
	if list, ok := n.(*ast.SequenceNode); ok {
		digits, rest, _ := strings.Cut(strings.TrimPrefix(path, "["), "]")
		if i, err := strconv.Atoi(digits); err == nil && i >= 0 && i < len(list.Values) {
			return list.Values[i], rest, true
		}
		return nil, "", false
	}
	return stepInto(n, path)
}

// stepInto takes the longest key that the path starts with, because the name
// of an image may have a dot in it.
func stepInto(n ast.Node, path string) (ast.Node, string, bool) {
	var found *ast.MappingValueNode
	length := -1
	for _, v := range pairs(n) {
		key, ok := keyText(v)
		if !ok || len(key) <= length || !strings.HasPrefix(path, key) {
			continue
		}
		if rest := path[len(key):]; rest == "" || rest[0] == '.' || rest[0] == '[' {
			found, length = v, len(key)
		}
	}
	if found == nil {
		return nil, "", false
	}
	if _, null := found.Value.(*ast.NullNode); null || found.Value == nil {
		return found.Key, "", true
	}
	return found.Value, path[length:], true
}
