package tftp

import (
	"strings"
	"testing"
)

func TestCleanName(t *testing.T) {
	for name, want := range map[string]string{
		"ipxe.efi":                    "ipxe.efi",
		"/boot/ipxe.efi":              "boot/ipxe.efi",
		`\boot\x64\wdsnbp.com`:        "boot/x64/wdsnbp.com",
		"//boot//./ipxe.efi":          "boot/ipxe.efi",
		"pxelinux.0\xff":              "pxelinux.0",
		"grub/..hidden/a..b":          "grub/..hidden/a..b",
		"开机.efi":                      "开机.efi",
		strings.Repeat("a", maxName):  strings.Repeat("a", maxName),
		"pxelinux.cfg/01-52-54-00-12": "pxelinux.cfg/01-52-54-00-12",
	} {
		if got, ok := cleanName(name); !ok || got != want {
			t.Errorf("cleanName(%q) = %q, %v; want %q", name, got, ok, want)
		}
	}
}

// traversal is what scanners and attackers send.
var traversal = []string{
	"", "/", ".", "..", "../secret", "../../../../etc/passwd", `..\secret`, `..\..\windows\win.ini`,
	`boot\../..\secret`, "boot/../../secret", "boot/..", "/../secret", "//../secret", "./../secret",
	"%2e%2e/secret", "%2e%2e%2fsecret", "..%2fsecret", "..%5csecret", "%252e%252e/secret", "a%00b",
	"boot/\x01/secret", "secret\n", "\x7f", "\xc0\xae\xc0\xae/secret", "\xff\xff",
	strings.Repeat("a", maxName+1), strings.Repeat("../", 1365), strings.Repeat("/", 4096),
}

func TestTraversalIsRefused(t *testing.T) {
	for _, name := range traversal {
		if got, ok := cleanName(name); ok {
			t.Errorf("%.40q was taken for %q", name, got)
		}
	}
}
