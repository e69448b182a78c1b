package answer

import (
	"encoding/json"
	"fmt"
	"strings"
)

// yamlMap is a YAML mapping in the order in which it is written.
type yamlMap []yamlPair

type yamlPair struct {
	key   string
	value any // string, yamlText, int, int64, bool, []any or yamlMap
}

// yamlText is text of several lines, written as a literal block so that
// people can read it.
type yamlText string

// yamlDocument writes a mapping as cloud-init, netplan and Ubuntu's installer
// read it: YAML 1.1, where many a bare word is something else than a string.
func yamlDocument(m yamlMap) string {
	var b strings.Builder
	writeYAMLMap(&b, m, "", "")
	return b.String()
}

// writeYAMLMap writes a mapping. What stands before its first key is lead.
func writeYAMLMap(b *strings.Builder, m yamlMap, lead, indent string) {
	for n, p := range m {
		if n > 0 {
			lead = indent
		}
		b.WriteString(lead + yamlString(p.key) + ":")
		writeYAMLValue(b, p.value, indent)
	}
}

func writeYAMLValue(b *strings.Builder, v any, indent string) {
	switch v := v.(type) {
	case yamlMap:
		if len(v) == 0 {
			b.WriteString(" {}\n")
			return
		}
		b.WriteByte('\n')
		writeYAMLMap(b, v, indent+"  ", indent+"  ")
	case []any:
		writeYAMLList(b, v, indent)
	case yamlText:
		b.WriteString(" |\n")
		for line := range strings.Lines(string(v)) {
			if line != "\n" {
				b.WriteString(indent + "  ")
			}
			b.WriteString(strings.TrimSuffix(line, "\n") + "\n")
		}
	case string:
		b.WriteString(" " + yamlString(v) + "\n")
	default:
		fmt.Fprintf(b, " %v\n", v)
	}
}

func writeYAMLList(b *strings.Builder, list []any, indent string) {
	if len(list) == 0 {
		b.WriteString(" []\n")
		return
	}
	b.WriteByte('\n')
	for _, item := range list {
		if m, ok := item.(yamlMap); ok && len(m) > 0 {
			writeYAMLMap(b, m, indent+"  - ", indent+"    ")
			continue
		}
		b.WriteString(indent + "  -")
		writeYAMLValue(b, item, indent+"  ")
	}
}

// yamlString is a scalar that every reader takes for the same string: bare if
// nothing else could be meant, and otherwise as JSON writes it, whose escapes
// YAML shares.
func yamlString(s string) string {
	if plainYAML(s) {
		return s
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return `""` // a string always encodes
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// plainYAML takes words that start with a letter or a slash, and no word that
// YAML 1.1 reads as a boolean or as nothing.
func plainYAML(s string) bool {
	if s == "" || !onlyOf(s, "/._-") || !onlyOf(s[:1], "/") || s[0] >= '0' && s[0] <= '9' {
		return false
	}
	switch strings.ToLower(s) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf":
		return false
	}
	return true
}

// yamlStrings makes a list of strings.
func yamlStrings(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}
