package agent

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/cabling"
	"github.com/rackseed/rackseed/pkg/site"
)

func TestDaemon(t *testing.T) {
	var posted []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/T/tasks":
			_, _ = io.WriteString(w, `{"lldp": 35, "probes": [{"nic":"52:54:00:00:00:11","network":"m","vlan":122,"source":"10.22.1.7","gateway":"10.22.0.1"}]}`)
		case "/T/inventory":
			posted, _ = io.ReadAll(r.Body)
			_, _ = io.WriteString(w, "no rule of the plan fits it\n")
		case "/T/busy":
			http.Error(w, "this boot has reported already", http.StatusConflict)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	d, ctx := newDaemon(server.URL+"/T/"), t.Context()
	if tasks, err := d.tasks(ctx, "tasks"); err != nil || tasks.LLDP != 35 || len(tasks.Probes) != 1 || tasks.Probes[0].VLAN != 122 {
		t.Errorf("%+v, %v", tasks, err)
	}
	answer, err := d.send(ctx, "inventory", site.Inventory{Serial: "S1"})
	if err != nil || !strings.Contains(answer, "no rule") || !bytes.Contains(posted, []byte(`"serial":"S1"`)) {
		t.Errorf("%q, %v, %s", answer, err, posted)
	}
	if _, err := d.do(ctx, "GET", "nothing", nil); !errors.Is(err, errGone) {
		t.Errorf("an unknown token is %v", err)
	}
	if _, err := d.do(ctx, "POST", "busy", nil); err == nil || errors.Is(err, errGone) {
		t.Errorf("a refusal is %v", err)
	}
	server.Close()
	if _, err := d.do(context.Background(), "GET", "next", nil); err == nil || strings.Contains(err.Error(), "/T/") {
		t.Errorf("an error shows the token: %v", err)
	}
}

func TestARP(t *testing.T) {
	nic, gateway := site.MAC{0x52, 0x54, 0, 0, 0, 0x11}, site.MAC{2, 0, 0, 0, 0, 1}
	tagged := cabling.Probe{NIC: nic, VLAN: 122, Source: netip.MustParseAddr("10.22.1.7"), Gateway: netip.MustParseAddr("10.22.0.1")}
	plain := tagged
	plain.VLAN = 0
	q := question(tagged)
	if len(q) < 60 || !bytes.Equal(q[12:18], []byte{0x81, 0, 0, 122, 8, 6}) || !bytes.Equal(question(plain)[12:14], []byte{8, 6}) {
		t.Errorf("% x", q)
	}
	reply := func(p cabling.Probe, from netip.Addr, to site.MAC) []byte {
		f := question(cabling.Probe{NIC: gateway, VLAN: p.VLAN, Source: from, Gateway: p.Source})
		at := bytes.Index(f, []byte{8, 6, 0, 1}) + 2
		f[at+7] = 2
		copy(f[at+18:], to[:])
		return f
	}
	for _, tt := range []struct {
		name string
		p    cabling.Probe
		f    []byte
		want bool
	}{
		{"the gateway", tagged, reply(tagged, tagged.Gateway, nic), true},
		{"the gateway, whose tag the card took off", tagged, reply(plain, tagged.Gateway, nic), true},
		{"another address", tagged, reply(tagged, tagged.Source, nic), false},
		{"to somebody else", tagged, reply(tagged, tagged.Gateway, gateway), false},
		{"on another VLAN", tagged, reply(cabling.Probe{VLAN: 7, Source: tagged.Source}, tagged.Gateway, nic), false},
		{"our own question", tagged, question(tagged), false},
		{"nothing", tagged, nil, false},
	} {
		if got := answers(tt.f, tt.p); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}

func FuzzARP(f *testing.F) {
	p := cabling.Probe{NIC: site.MAC{2}, VLAN: 5, Source: netip.MustParseAddr("10.0.0.2"), Gateway: netip.MustParseAddr("10.0.0.1")}
	f.Add(question(p))
	f.Fuzz(func(_ *testing.T, b []byte) { answers(b, p) })
}
