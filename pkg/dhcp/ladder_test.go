package dhcp

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
)

func withFullAnswer(s *site.Settings) {
	s.Provision.DHCP, s.Provision.FullAnswer = site.DHCPProxy, true
}

// climber is a machine that boots beside another server, and a server without
// sockets that keeps what it promises.
type climber struct {
	h    *history
	book *Book
	now  time.Time
}

func newClimber(t *testing.T, edits ...func(*site.Settings)) *climber {
	h := world(t, edits...).arm("n1")
	return &climber{h: h, book: NewBook(), now: epoch}
}

// say decides as exchange does: commit, decide again, note what was said.
func (c *climber) say(msg wire, tweaks ...func(*Request)) Answer {
	c.h.tb.Helper()
	req := msg.request(c.h.tb)
	for _, tweak := range tweaks {
		tweak(req)
	}
	cfg := config()
	cfg.Book = c.book
	a := Decide(c.h.state, cfg, req, c.now)
	c.h.add(a.Events...)
	if a.Reply != nil && a.Rung != "" && req.Type == TypeDiscover {
		c.book.Offered(req.MAC, a.Rung, c.now)
	}
	if req.IPXE {
		c.book.Came(req.MAC)
	}
	return a
}

// round is what a ROM does that understands none of it: it asks four times.
func (c *climber) round(arch byte) (a Answer, stepped []site.BootRung) {
	c.h.tb.Helper()
	for _, wait := range []time.Duration{0, 4, 8, 16} {
		c.now = c.now.Add(wait * time.Second)
		a = c.say(ask(TypeDiscover, mac1).firmware(arch))
		stepped = append(stepped, steps(a.Events)...)
	}
	c.now = c.now.Add(time.Minute)
	return a, stepped
}

func steps(events []site.Body) (all []site.BootRung) {
	for _, e := range events {
		if s, ok := e.(site.BootLadderStepped); ok {
			all = append(all, s.To)
		}
	}
	return all
}

// TestLadder: each kind of firmware is offered its file in one way after the
// other, until it is full circle.
func TestLadder(t *testing.T) {
	for _, c := range []struct {
		name  string
		arch  byte
		edit  func(*site.Settings)
		rungs []site.BootRung
	}{
		{"BIOS", 0, withProxy, []site.BootRung{site.RungBypass, site.RungBootServer, site.RungPlain, site.RungBypass}},
		{"UEFI", 7, withProxy, []site.BootRung{site.RungPlain, site.RungBypass, site.RungBootServer, site.RungPlain}},
		{"BIOS, full answer allowed", 0, withFullAnswer, []site.BootRung{site.RungBypass, site.RungBootServer, site.RungPlain, site.RungFull, site.RungBypass}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newClimber(t, c.edit)
			if a := l.say(ask(TypeDiscover, mac1).firmware(c.arch)); a.Rung != c.rungs[0] || len(a.Events) > 0 {
				t.Fatalf("it begins with %s, %v", a.Rung, a.Events)
			}
			l.book.Came(mac1)
			for i, rung := range c.rungs[1:] {
				var a Answer
				var got []site.BootRung
				for asked := 0; len(got) == 0 && asked < 10; asked++ {
					l.now = l.now.Add(8 * time.Second)
					a = l.say(ask(TypeDiscover, mac1).firmware(c.arch))
					got = steps(a.Events)
				}
				if !slices.Equal(got, []site.BootRung{rung}) || a.Rung != rung {
					t.Fatalf("round %d: %v to %s, want %s (%s)", i, got, a.Rung, rung, a.Why)
				}
				checkRung(t, a)
			}
		})
	}
}

// checkRung looks at what makes the rungs differ on the wire.
func checkRung(t *testing.T, a Answer) {
	t.Helper()
	r := a.Reply
	bypass := bytes.Equal(r.Vendor, discoveryOff())
	switch a.Rung {
	case site.RungBypass:
		if !bypass || r.BootFile == "" || r.YIAddr.IsValid() {
			t.Errorf("bypass: %+v", r)
		}
	case site.RungBootServer:
		if r.Vendor != nil || r.BootFile != "" || r.SIAddr != server1 || r.Class != classPXE {
			t.Errorf("boot server: %+v", r)
		}
	case site.RungPlain:
		if r.Vendor != nil || r.BootFile == "" || r.YIAddr.IsValid() {
			t.Errorf("plain: %+v", r)
		}
	case site.RungFull:
		if r.YIAddr != node1 || r.Lease == 0 || r.BootFile == "" {
			t.Errorf("full: %+v", r)
		}
	}
}

// TestLadderStays: patience with slow servers, with machines that come for
// their file, and with those that nothing is there for.
func TestLadderStays(t *testing.T) {
	l := newClimber(t, withProxy)
	for range 2 { // a slow server costs a ROM its first question
		l.say(ask(TypeDiscover, mac1).firmware(0))
		l.now = l.now.Add(15 * time.Second)
	}
	if a := l.say(ask(TypeDiscover, mac1).firmware(0)); len(a.Events) > 0 {
		t.Errorf("two questions are enough: %v", a.Events)
	}
	l.book.Came(mac1) // it fetched its loader, which then hung
	for range 2 {
		l.now = l.now.Add(15 * time.Second)
		if a := l.say(ask(TypeDiscover, mac1).firmware(0)); len(a.Events) > 0 {
			t.Errorf("it came, and yet %v", a.Events)
		}
	}
	idle := newClimber(t, withProxy)
	idle.h.add(site.Disarmed{Node: "n1", By: "ops"})
	for range 5 {
		if a, stepped := idle.round(0); a.Reply != nil || len(stepped) > 0 {
			t.Errorf("not armed: %+v", a)
		}
	}
}

// TestLadderRemembers: what worked for a machine is where it begins the next
// time, also after a restart, and where others of its model begin.
func TestLadderRemembers(t *testing.T) {
	l := newClimber(t, withProxy)
	model := site.Inventory{Source: site.FromBMC, Manufacturer: "Huawei", Model: "RH2288H V5"}
	l.h.add(site.NodeInventoried{Node: "n1", Inventory: model}, site.NodeInventoried{Node: "n2", Inventory: model}).arm("n2")
	l.round(0)
	a := l.say(ask(TypeDiscover, mac1).firmware(0).text(optUserClass, "iPXE"))
	want := site.BootLadderWorked{Node: "n1", MAC: mac1, Rung: site.RungBootServer, Model: "Huawei RH2288H V5"}
	if len(a.Events) != 1 || a.Events[0] != want {
		t.Errorf("iPXE asked: %+v", a.Events)
	}
	if a := l.say(ask(TypeDiscover, mac1).firmware(0).text(optUserClass, "iPXE")); len(a.Events) > 0 {
		t.Errorf("it is noted again: %v", a.Events)
	}
	data, err := l.h.state.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	after := site.NewState()
	if err := after.UnmarshalJSON(data); err != nil {
		t.Fatal(err)
	}
	for name, mac := range map[string]site.MAC{"the machine": mac1, "its like": mac2} {
		a := Decide(after, config(), ask(TypeDiscover, mac).firmware(0).request(t), epoch)
		if a.Rung != site.RungBootServer || a.Reply == nil {
			t.Errorf("%s begins with %s (%s)", name, a.Rung, a.Why)
		}
	}
	text, why := Explain(after, config(), Asker{MAC: mac2, Arch: 0}, epoch)
	if text == "" || !strings.Contains(why, "boot-server, as machines of this model, Huawei RH2288H V5, take it") {
		t.Errorf("explain says %q", why)
	}
}

// TestFullAnswerIsForOneMachine: with everything that its system asks later;
// nobody else is told anything that is not said beside another server, and
// nobody is told no.
func TestFullAnswerIsForOneMachine(t *testing.T) {
	l := newClimber(t, withFullAnswer)
	l.h.arm("n2").add(site.BootLadderStepped{Node: "n1", MAC: mac1, From: site.RungPlain, To: site.RungFull})
	for name, c := range map[string]struct {
		msg  wire
		kind MessageType
	}{
		"firmware":    {ask(TypeDiscover, mac1).firmware(0), TypeOffer},
		"its choice":  {ask(TypeRequest, mac1).firmware(0).addr(optServerID, "10.20.0.1").addr(optRequestedIP, "10.20.1.1"), TypeACK},
		"iPXE":        {ask(TypeDiscover, mac1).firmware(0).text(optUserClass, "iPXE"), TypeOffer},
		"the system":  {ask(TypeDiscover, mac1).params(), TypeOffer},
		"its renewal": {ask(TypeRequest, mac1).params().ciaddr("10.20.1.1"), TypeACK},
	} {
		if a := l.say(c.msg); a.Reply == nil || a.Reply.Type != c.kind || a.Reply.YIAddr != node1 {
			t.Errorf("%s: %+v, %s", name, a.Reply, a.Why)
		}
	}
	for name, msg := range map[string]wire{
		"another machine's firmware": ask(TypeDiscover, mac2).firmware(0),
		"another machine's system":   ask(TypeDiscover, mac2).params(),
		"a stranger":                 ask(TypeDiscover, alien).firmware(0),
		"the other server's client":  ask(TypeRequest, mac1).firmware(0).addr(optServerID, "10.20.0.9").addr(optRequestedIP, "10.20.1.1"),
		"its address from elsewhere": ask(TypeRequest, mac1).params().addr(optRequestedIP, "10.20.9.9"),
	} {
		if a := l.say(msg); a.Reply != nil && (a.Reply.YIAddr.IsValid() || a.Reply.Type == TypeNAK) {
			t.Errorf("%s: %+v", name, a.Reply)
		}
	}
	forbidden := newClimber(t, withProxy)
	forbidden.h.add(site.BootLadderStepped{Node: "n1", MAC: mac1, From: site.RungPlain, To: site.RungFull})
	if a := forbidden.say(ask(TypeDiscover, mac1).firmware(0)); a.Reply == nil || a.Reply.YIAddr.IsValid() || a.Rung != site.RungBypass {
		t.Errorf("the plan does not allow it: %+v", a.Reply)
	}
}
