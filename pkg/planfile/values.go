package planfile

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/rackseed/rackseed/pkg/site"
)

// text reads one value as it was written, without the space around it.
func (d *decoder) text(n ast.Node, what string) string {
	t, ok := scalar(n)
	if !ok {
		if d.plain(n) {
			d.fail(n, "not-a-value", "write one value", "%s must be one value", what)
		}
		return ""
	}
	return strings.TrimSpace(t.Value)
}

// into gives a reader that stores a text.
func (d *decoder) into(to *string, what string) func(ast.Node) {
	return func(n ast.Node) { *to = d.text(n, what) }
}

// keep gives a reader that stores the value for later.
func keep(to *ast.Node) func(ast.Node) {
	return func(n ast.Node) { *to = n }
}

func (d *decoder) texts(n ast.Node, what string) []string {
	var out []string
	for _, item := range items(n) {
		if v := d.text(item, what); v != "" {
			out = append(out, v)
		}
	}
	return out
}

// number reads a whole decimal number.
func (d *decoder) number(n ast.Node, what, example string) int {
	s := d.text(n, what)
	v, err := strconv.Atoi(s)
	if s != "" && (err != nil || strconv.Itoa(v) != s) {
		d.fail(n, "not-a-number", "write it like "+example, "%s %q is not a whole number", what, s)
		return 0
	}
	return v
}

func (d *decoder) boolean(n ast.Node, what string) bool {
	s := d.text(n, what)
	if s != "" && s != "true" && s != "false" {
		d.fail(n, "not-a-boolean", "write true or false", "%s %q is neither true nor false", what, s)
	}
	return s == "true"
}

func (d *decoder) duration(n ast.Node, what string) time.Duration {
	s := d.text(n, what)
	if s == "" {
		return 0
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if v, err := strconv.ParseUint(days, 10, 16); err == nil {
			return time.Duration(v) * 24 * time.Hour
		}
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		d.fail(n, "not-a-duration", "write it like 12h, 90m or 7d", "%s %q is not a length of time", what, s)
	}
	return v
}

// size reads bytes, with a decimal or binary unit as disk makers and
// operating systems write them.
func (d *decoder) size(n ast.Node, what string) int64 {
	s := d.text(n, what)
	if s == "" {
		return 0
	}
	digits := strings.TrimRight(s, "BKMGTPEiIbkmgtpe ")
	factor, known := unitOf(strings.ToUpper(strings.TrimSpace(s[len(digits):])))
	v, err := strconv.ParseFloat(digits, 64)
	if err != nil || !known || !(v >= 0) || v*factor >= math.MaxInt64 || strings.Trim(digits, "0123456789.") != "" {
		d.fail(n, "not-a-size", "write it like 480GB or 100GiB", "%s %q is not a size", what, s)
		return 0
	}
	return int64(v * factor)
}

func unitOf(unit string) (float64, bool) {
	base := 1000.0
	if prefix, ok := strings.CutSuffix(unit, "IB"); ok && prefix != "" {
		unit, base = prefix, 1024
	} else if unit != "B" {
		unit = strings.TrimSuffix(unit, "B")
	}
	if unit == "" || unit == "B" {
		return 1, true
	}
	power := strings.Index("KMGTPE", unit) + 1
	return math.Pow(base, float64(power)), len(unit) == 1 && power > 0
}

func (d *decoder) addr(n ast.Node, what string) netip.Addr {
	return d.parseAddr(n, d.text(n, what), what)
}

func (d *decoder) parseAddr(n ast.Node, s, what string) netip.Addr {
	if s == "" {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(s)
	if err == nil && a.Zone() == "" && !a.Is4In6() {
		return a
	}
	fix := "write it like 10.20.1.1"
	if _, err := netip.ParsePrefix(s); err == nil {
		fix = "leave off the part after the slash: the network's subnet says it"
	}
	d.fail(n, "not-an-address", fix, "%s %q is not an IP address", what, s)
	return netip.Addr{}
}

func (d *decoder) addrs(n ast.Node, what string) []netip.Addr {
	var out []netip.Addr
	for _, item := range items(n) {
		if a := d.addr(item, what); a.IsValid() {
			out = append(out, a)
		}
	}
	return out
}

func (d *decoder) prefix(n ast.Node, what string) netip.Prefix {
	s := d.text(n, what)
	p, err := netip.ParsePrefix(s)
	if s != "" && err != nil {
		d.fail(n, "not-a-subnet", "write it like 10.20.0.0/16", "%s %q is not a subnet", what, s)
	}
	return p
}

func (d *decoder) addrRange(n ast.Node, what string) site.Range {
	s := d.text(n, what)
	if s == "" {
		return site.Range{}
	}
	first, last, ok := strings.Cut(s, "-")
	a, err1 := netip.ParseAddr(strings.TrimSpace(first))
	b, err2 := netip.ParseAddr(strings.TrimSpace(last))
	switch {
	case !ok || err1 != nil || err2 != nil || !a.Is4() || !b.Is4():
		d.fail(n, "not-a-range", "write it as FIRST-LAST: 10.20.255.10-10.20.255.200", "%s %q is not a run of IPv4 addresses", what, s)
		return site.Range{}
	case b.Less(a):
		d.fail(n, "not-a-range", "write "+b.String()+"-"+a.String(), "%s %q runs backwards", what, s)
		return site.Range{}
	}
	return site.Range{First: a, Last: b}
}

// free reads a value whose meaning a profile knows, as the types that JSON
// has, because it comes back from the log as those: numbers are float64.
func (d *decoder) free(n ast.Node, what string) any {
	switch v := n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return d.freeMap(v, what)
	case *ast.SequenceNode:
		list := make([]any, 0, len(v.Values))
		for _, item := range v.Values {
			list = append(list, d.free(item, what))
		}
		return list
	}
	if isNull(n) {
		return nil
	}
	t, ok := scalar(n)
	if !ok {
		d.plain(n)
		return nil
	}
	return d.freeScalar(n, t, what)
}

func (d *decoder) freeMap(n ast.Node, what string) map[string]any {
	out := map[string]any{}
	d.entries(n, what, func(name string, value ast.Node) { out[name] = d.free(value, what+"."+name) })
	return out
}

func (d *decoder) freeScalar(n ast.Node, t *token.Token, what string) any {
	switch n.(type) {
	case *ast.BoolNode:
		return strings.EqualFold(t.Value, "true")
	case *ast.IntegerNode, *ast.FloatNode:
		v, err := strconv.ParseFloat(t.Value, 64)
		if err != nil || ambiguous(t.Value) || math.Abs(v) > 1<<53 {
			d.fail(n, "number-ambiguous", "put it in quotes to keep it text, or write a plain decimal number", "%s: the number %q reads differently in different tools", what, t.Value)
			return nil
		}
		return v
	case *ast.InfinityNode, *ast.NanNode:
		d.fail(n, "not-a-number", "write a plain decimal number", "%s: %q is not a number", what, t.Value)
		return nil
	}
	quoted := t.Type == token.SingleQuoteType || t.Type == token.DoubleQuoteType
	switch strings.ToLower(t.Value) {
	case "yes", "no", "on", "off":
		if !quoted {
			d.fail(n, "boolean-ambiguous", "write true or false, or put it in quotes to keep it text", "%s: %q is a boolean to some and text to others", what, t.Value)
		}
	}
	return t.Value
}

// ambiguous numbers are octal, hexadecimal or have _ in them.
func ambiguous(s string) bool {
	s = strings.TrimLeft(s, "+-")
	return strings.Trim(s, "0123456789.eE+-") != "" || len(s) > 1 && s[0] == '0' && s[1] != '.'
}
