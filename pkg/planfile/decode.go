package planfile

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/rackseed/rackseed/pkg/site"
)

// decoder walks the tree and collects every error on the way. Its methods
// give the zero value for what they could not read.
type decoder struct {
	src  *source
	errs Errors
}

// maxCollected bounds the work on a file that is not a plan.
const maxCollected = 500

// maxMessage keeps a message that quotes the file readable.
const maxMessage = 300

// field is a key of a mapping and what reads its value.
type field struct {
	key  string
	read func(ast.Node)
}

func (d *decoder) fail(n ast.Node, id, fix, format string, args ...any) {
	d.failAt(place(n), id, fix, format, args...)
}

func (d *decoder) failAt(at *token.Position, id, fix, format string, args ...any) {
	if len(d.errs) >= maxCollected {
		return
	}
	message := []rune(fmt.Sprintf(format, args...))
	d.errs = append(d.errs, d.src.error(id, at.Line, at.Column, fix, string(message[:min(len(message), maxMessage)])))
}

// object reads a mapping whose keys are known.
func (d *decoder) object(n ast.Node, what string, fields []field) {
	if !d.isMapping(n, what) {
		return
	}
	seen := make([]bool, len(fields))
	for _, v := range pairs(n) {
		key, ok := d.key(v)
		if !ok {
			continue
		}
		i := indexOf(fields, key)
		switch {
		case i < 0:
			d.fail(v.Key, "unknown-key", suggest(key, fields), "unknown key %q in %s", key, what)
		case seen[i]:
			d.fail(v.Key, "duplicate-key", "keep one of them", "%q is given twice in %s", key, what)
		default:
			seen[i] = true
			if !isNull(v.Value) {
				fields[i].read(v.Value)
			}
		}
	}
}

// entries reads a mapping whose keys are names that the user chose.
func (d *decoder) entries(n ast.Node, what string, read func(name string, value ast.Node)) {
	if !d.isMapping(n, what) {
		return
	}
	seen := map[string]bool{}
	for _, v := range pairs(n) {
		key, ok := d.key(v)
		switch {
		case !ok:
		case seen[key]:
			d.fail(v.Key, "duplicate-key", "keep one of them", "%q is given twice in %s", key, what)
		default:
			seen[key] = true
			read(key, v.Value)
		}
	}
}

// items gives the values of a list; a single value counts as a list of one.
func items(n ast.Node) []ast.Node {
	if list, ok := n.(*ast.SequenceNode); ok {
		return list.Values
	}
	return []ast.Node{n}
}

func (d *decoder) isMapping(n ast.Node, what string) bool {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return true
	}
	if d.plain(n) {
		d.fail(n, "not-a-mapping", "write key: value pairs below it", "%s must be a mapping", what)
	}
	return false
}

// plain refuses what a plan does without: a role or a range says more clearly
// what an anchor would, and an alias can stand for a billion nodes.
func (d *decoder) plain(n ast.Node) bool {
	switch n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		d.fail(n, "yaml-alias", "write the value out; what nodes share belongs in their role", "anchors, aliases and merge keys are not part of a plan")
		return false
	case *ast.TagNode, *ast.DirectiveNode:
		d.fail(n, "yaml-tag", "remove it; quote a value to keep it text", "YAML tags and directives are not part of a plan")
		return false
	default:
		return true
	}
}

func (d *decoder) key(v *ast.MappingValueNode) (string, bool) {
	if key, ok := keyText(v); ok {
		return key, true
	}
	if d.plain(v.Key) {
		d.fail(v.Key, "key-malformed", "use a plain word", "this cannot be a key")
	}
	return "", false
}

func pairs(n ast.Node) []*ast.MappingValueNode {
	switch m := n.(type) {
	case *ast.MappingNode:
		return m.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{m}
	default:
		return nil
	}
}

func keyText(v *ast.MappingValueNode) (string, bool) {
	t, ok := scalar(v.Key)
	if !ok {
		return "", false
	}
	return t.Value, true
}

// scalar gives the token of a value that is one word or text. The token has
// what was written, whatever type YAML would make of it: a serial number 0123
// is not 83, and twelve digits are a MAC.
func scalar(n ast.Node) (*token.Token, bool) {
	switch v := n.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return v.GetToken(), true
	case *ast.LiteralNode:
		return v.Value.GetToken(), true
	default:
		return nil, false
	}
}

func isNull(n ast.Node) bool {
	_, null := n.(*ast.NullNode)
	return n == nil || null
}

func indexOf(fields []field, key string) int {
	for i := range fields {
		if fields[i].key == key {
			return i
		}
	}
	return -1
}

// habits are the words that other tools use for a key.
const habits = " hostname=name host=name macs=mac mac_address=mac sn=serial serial_number=serial ip=addresses ips=addresses address=addresses" +
	" ipmi=bmc profiles=profile nics=networks cidr=subnet gw=gateway router=gateway nameservers=dns ntp_servers=ntp vlan_id=vlan " +
	" sha256sum=sha256 iso=file path=file user=username keys=ssh_keys authorized_keys=ssh_keys root_password=root range=pool vars=set variables=set disk=disks unit=u "

func suggest(key string, fields []field) string {
	if _, rest, ok := strings.Cut(habits, " "+strings.ToLower(key)+"="); ok {
		word, _, _ := strings.Cut(rest, " ")
		if indexOf(fields, word) >= 0 {
			return "did you mean " + word + "?"
		}
	}
	known := make([]string, len(fields))
	for i, f := range fields {
		known[i] = f.key
	}
	if near, ok := site.Nearest(key, known); ok {
		return "did you mean " + near + "?"
	}
	return "the keys are " + strings.Join(known, ", ")
}
