package main

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/rackseed/rackseed/pkg/ipxe"
)

// grubMenu says in GRUB's words what iPXE is told: for a site that boots its
// machines by a GRUB of its own, or from a stick.
func grubMenu(b ipxe.Boot) (string, error) {
	kernel, err := grubFile(b.Kernel)
	if err != nil {
		return "", err
	}
	initrd, err := grubFile(b.Initrd)
	if err != nil {
		return "", err
	}
	var words []string
	for _, a := range b.Args {
		words = append(words, grubWord(a))
	}
	return fmt.Sprintf(`# Needs the modules http, net and efinet, and an address: net_dhcp
set timeout=5
menuentry %s {
	linux %s %s
	initrd %s
}
`, grubWord("Rackseed: install "+b.Node.Name+" from "+b.Image.Name), kernel, strings.Join(words, " "), initrd), nil
}

// grubFile is a URL as GRUB names files: (http,HOST:PORT)/PATH.
func grubFile(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" || u.Host == "" {
		return "", fmt.Errorf("GRUB cannot load %q: it loads by http alone", text)
	}
	return grubWord("(http," + u.Host + ")" + u.EscapedPath()), nil
}

// grubWord quotes what GRUB's shell would take apart: it ends a command at a
// semicolon and groups at brackets.
func grubWord(text string) string {
	if !strings.ContainsAny(text, " ;()$\"{}|&<>'\\") {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
