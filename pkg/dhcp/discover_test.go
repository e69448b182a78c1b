package dhcp

import (
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/boot"
	"github.com/rackseed/rackseed/pkg/site"
)

// TestStrangersWithLeave: a machine that the plan does not name gets a boot
// file only where the plan lets it be discovered, and then that of iPXE, never
// more.
func TestStrangersWithLeave(t *testing.T) {
	withLeave := func(s *site.Settings) { s.Discovery = site.Discovery{Strangers: true, Image: "rocky9"} }
	withoutImage := func(s *site.Settings) { s.Discovery = site.Discovery{Strangers: true, Image: "none"} }
	for _, tt := range []struct {
		name  string
		plan  []func(*site.Settings)
		proxy bool
		reply bool
		file  string
	}{
		{"server, no leave, pool", []func(*site.Settings){withPool}, false, true, ""},
		{"server, leave, pool", []func(*site.Settings){withPool, withLeave}, false, true, "undionly.kpxe"},
		{"server, leave, no pool", []func(*site.Settings){withLeave}, false, false, ""},
		{"server, leave, pool, no such image", []func(*site.Settings){withPool, withoutImage}, false, true, ""},
		{"proxy, no leave", []func(*site.Settings){withProxy}, true, false, ""},
		{"proxy, leave", []func(*site.Settings){withProxy, withLeave}, true, true, "undionly.kpxe"},
		{"proxy, leave, no such image", []func(*site.Settings){withProxy, withoutImage}, true, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := world(t, tt.plan...).arm("n1").arm("n2")
			a := Decide(h.state, config(), ask(TypeDiscover, alien).firmware(0).end().request(t), epoch)
			if (a.Reply != nil) != tt.reply || a.Node != "" {
				t.Fatalf("%+v: %s", a.Reply, a.Why)
			}
			if tt.reply && a.Reply.BootFile != tt.file {
				t.Errorf("its boot file is %q, because %s", a.Reply.BootFile, a.BootWhy)
			}
			if want := (tt.file != ""); (a.Action == boot.Discover) != want || a.Action == boot.Install {
				t.Errorf("its action is %q", a.Action)
			}
		})
	}
	h := world(t, withPool, withLeave)
	text, why := Explain(h.state, config(), Asker{MAC: alien}, epoch)
	if !strings.Contains(text, "undionly.kpxe") || !strings.Contains(why, "lets strangers be discovered") {
		t.Errorf("%s: %s", why, text)
	}
}
