package tftp

import (
	"strings"
	"unicode/utf8"
)

const maxName = 255

// cleanName returns the canonical form of a requested name, or false for a name
// that no boot file has. TFTP has no escapes, so a percent sign is refused rather
// than decoded: whoever opens the file must not be tempted to.
func cleanName(name string) (string, bool) {
	// Some ROMs take the DHCP end option (255) for the last byte of option 67.
	for strings.HasSuffix(name, "\xff") {
		name = name[:len(name)-1]
	}
	if name == "" || len(name) > maxName || !utf8.ValidString(name) {
		return "", false
	}
	var parts []string
	for part := range strings.SplitSeq(strings.ReplaceAll(name, `\`, "/"), "/") {
		switch part {
		case "", ".":
		case "..":
			return "", false
		default:
			parts = append(parts, part)
		}
	}
	clean := strings.Join(parts, "/")
	if clean == "" || strings.ContainsFunc(clean, forbidden) {
		return "", false
	}
	return clean, true
}

func forbidden(r rune) bool { return r < ' ' || r == 0x7f || r == '%' }
