package main

import (
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/boot"
	"github.com/rackseed/rackseed/pkg/ipxe"
	"github.com/rackseed/rackseed/pkg/site"
)

func TestGRUBMenu(t *testing.T) {
	b := ipxe.Boot{
		Decision: boot.Decision{Node: &site.Node{Name: "n1"}, Image: site.Image{Name: "ubuntu24.04"}},
		Kernel:   "http://10.20.0.5:8080/images/d/casper/vmlinuz", Initrd: "http://10.20.0.5:8080/images/d/casper/initrd",
		Args: []string{"ip=dhcp", "ds=nocloud-net;s=http://10.20.0.5:8080/answer/TOKEN/", "---", "console=tty0"},
	}
	got, err := grubMenu(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"menuentry 'Rackseed: install n1 from ubuntu24.04' {\n",
		"\tlinux '(http,10.20.0.5:8080)/images/d/casper/vmlinuz' ip=dhcp 'ds=nocloud-net;s=http://10.20.0.5:8080/answer/TOKEN/' --- console=tty0\n",
		"\tinitrd '(http,10.20.0.5:8080)/images/d/casper/initrd'\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
	b.Kernel = "https://10.20.0.5/vmlinuz"
	if _, err := grubMenu(b); err == nil {
		t.Error("GRUB loads no https")
	}
	if got := grubWord("it's"); got != `'it'\''s'` {
		t.Errorf("quoted as %s", got)
	}
}
