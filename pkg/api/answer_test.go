package api_test

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/site"
)

func TestAnswerFilesOfBothInstallers(t *testing.T) {
	w := planned(t)
	w.arm("d1,r1")
	deb, rpm := w.boot(atD1, askD1), w.boot(atR1, askR1)
	for _, c := range []struct{ from, path, says string }{
		{atD1, "/answer/" + deb + "/preseed.cfg", rootHash},
		{atD1, "/answer/" + deb + "/late.sh", "/report/" + deb},
		{atR1, "/answer/" + rpm + "/ks.cfg", rootHash},
	} {
		r := w.get(c.from, c.path)
		same(t, "status", r.Code, http.StatusOK)
		contains(t, c.path, r.Body.String(), c.says)
		same(t, "the cache", r.Header().Get("Cache-Control"), "no-store")
	}
	same(t, "the stage", w.node("d1").Attempt.Stage, string(install.StageAnswer))
	same(t, "another name", w.get(atD1, "/answer/"+deb+"/ks.cfg").Code, http.StatusNotFound)
}

// TestAnswerIsOnRecordBeforeItLeaves is the audit: who got which bytes.
func TestAnswerIsOnRecordBeforeItLeaves(t *testing.T) {
	w := planned(t)
	w.arm("d1")
	token := w.boot(atD1, askD1)
	before := w.seq()
	w.get(atD1, "/answer/"+token+"/preseed.cfg")
	w.get(atD1, "/answer/"+token+"/early.sh")
	if kinds := w.kinds(before); !slices.Equal(kinds, []string{"answer-served", "install-progress", "answer-served"}) {
		t.Errorf("recorded %q", kinds)
	}
	served, ok := w.events()[before].Body.(site.AnswerServed)
	if !ok || served.Node != "d1" || served.File != "preseed.cfg" || len(served.SHA256) != 64 || served.Addr != netip.MustParseAddr("10.20.1.1") {
		t.Errorf("recorded %+v", served)
	}
	before = w.seq()
	same(t, "HEAD", w.ask(atD1, http.MethodHead, "/answer/"+token+"/preseed.cfg", "").Code, http.StatusOK)
	w.nothingHappened(before)
}

// TestWrongTokensLookAlike: whoever guesses learns nothing from the answer.
func TestWrongTokensLookAlike(t *testing.T) {
	w := planned(t)
	w.arm("d1,d2")
	token, other := w.boot(atD1, askD1), w.boot(atD2, askD2)
	hash := w.node("d1").Attempt.Token
	before := w.seq()
	want := w.get(atLAN, "/answer/"+strings.Repeat("0", 64)+"/preseed.cfg")
	same(t, "status of a guess", want.Code, http.StatusNotFound)
	for name, ask := range map[string]struct{ from, token, file string }{
		"truncated":         {atD1, token[:63], "preseed.cfg"},
		"longer":            {atD1, token + "0", "preseed.cfg"},
		"upper case":        {atD1, strings.ToUpper(token), "preseed.cfg"},
		"its hash":          {atD1, hash, "preseed.cfg"},
		"empty":             {atD1, "%20", "preseed.cfg"},
		"NUL behind it":     {atD1, token + "%00", "preseed.cfg"},
		"of another node":   {atD1, other, "preseed.cfg"},
		"from elsewhere":    {atLAN, token, "preseed.cfg"},
		"from another node": {atD2, token, "preseed.cfg"},
		"another file":      {atD1, token, "shadow"},
		"a path":            {atD1, token, "..%2fpreseed.cfg"},
	} {
		r := w.get(ask.from, "/answer/"+ask.token+"/"+ask.file)
		if r.Code != want.Code || r.Body.String() != want.Body.String() {
			t.Errorf("%s: %d %q, want %d %q", name, r.Code, r.Body, want.Code, want.Body)
		}
	}
	w.nothingHappened(before)
	contains(t, "the log", w.log.String(), "an answer file was asked for from an address that is not the node's", "`rackseed doctor` names the other server", "--dhcp proxy")
	same(t, "the right token", w.get(atD1, "/answer/"+token+"/preseed.cfg").Code, http.StatusOK)
}

// TestForwardedForIsNotBelieved: the address is that of the connection.
func TestForwardedForIsNotBelieved(t *testing.T) {
	w := planned(t)
	w.arm("d1")
	path := "/answer/" + w.boot(atD1, askD1) + "/preseed.cfg"
	for _, header := range []string{"X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(header, "10.20.1.1")
		same(t, header, w.send(atLAN, r).Code, http.StatusNotFound)
	}
}

// TestTheAddressesOfANode: where it booted, what the plan reserves, what its
// NICs lease, and, where somebody else gives addresses, what the link says.
func TestTheAddressesOfANode(t *testing.T) {
	const odd = "10.20.200.7:4000" // where a machine booted that has no planned address yet
	w := planned(t)
	w.arm("d1")
	path := "/answer/" + w.boot(odd, askD1) + "/preseed.cfg"
	second := site.MAC{0x52, 0x54, 0, 0, 1, 1}
	lease := func(m site.MAC, addr string) {
		w.do(site.LeaseGranted{Lease: site.Lease{MAC: m, Addr: netip.MustParseAddr(addr), Until: w.clock().Add(time.Hour)}})
	}
	lease(second, "10.20.255.20")
	lease(site.MAC{2, 0, 0, 0, 0, 9}, "10.20.255.21")
	w.neighbours[netip.MustParseAddr("10.20.99.1")] = second
	w.neighbours[netip.MustParseAddr("10.20.99.2")] = site.MAC{2, 0, 0, 0, 0, 9}
	for from, want := range map[string]int{
		odd: http.StatusOK, atD1: http.StatusOK, "10.20.255.20:1": http.StatusOK, "10.20.99.1:1": http.StatusOK,
		"10.20.255.21:1": http.StatusNotFound, "10.20.99.2:1": http.StatusNotFound, atD2: http.StatusNotFound, atLAN: http.StatusNotFound,
		"[::ffff:10.20.1.1]:9": http.StatusOK, "[fe80::1]:9": http.StatusNotFound, "garbage": http.StatusNotFound,
	} {
		same(t, from, w.get(from, path).Code, want)
	}
}

func TestAnswerOnlyWhileTheAttemptRuns(t *testing.T) {
	for name, end := range map[string]func(w *world, token string){
		"done":     func(w *world, token string) { w.report(atD1, token, install.StageDone, "") },
		"failed":   func(w *world, token string) { w.report(atD1, token, install.StageFailed, "no disk") },
		"verified": func(w *world, token string) { w.report(atD1, token, install.StageVerified, "") },
		"disarmed": func(w *world, _ string) {
			w.call(http.MethodPost, "/api/v1/disarm", `{"selector": "d1", "by": "ops"}`)
		},
		"held": func(w *world, _ string) { w.get(atD1, "/boot/node.ipxe?mac=52:54:00:00:00:01&serial=X9") },
		"expired": func(w *world, _ string) {
			w.pass(24 * time.Hour)
			w.do(install.RealTime.Expire(w.ledger.State(), w.clock(), time.Time{})...)
		},
		"armed again": func(w *world, token string) {
			w.report(atD1, token, install.StageDone, "")
			w.arm("d1")
			if again := w.boot(atD1, askD1); again == token {
				w.t.Error("two attempts have one token")
			}
		},
		"out of the plan": func(w *world, token string) {
			w.report(atD1, token, install.StageDone, "")
			w.do(site.NodeUnplanned{Name: "d1"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := planned(t)
			w.arm("d1")
			token := w.boot(atD1, askD1)
			same(t, "status before", w.get(atD1, "/answer/"+token+"/preseed.cfg").Code, http.StatusOK)
			end(w, token)
			before := w.seq()
			same(t, "status after", w.get(atD1, "/answer/"+token+"/preseed.cfg").Code, http.StatusNotFound)
			w.nothingHappened(before)
		})
	}
}

func TestAnswersAreCounted(t *testing.T) {
	w := planned(t)
	w.arm("d1")
	path := "/answer/" + w.boot(atD1, askD1) + "/preseed.cfg"
	for range install.MaxAnswers {
		same(t, "status", w.get(atD1, path).Code, http.StatusOK)
	}
	before := w.seq()
	same(t, "one more", w.get(atD1, path).Code, http.StatusNotFound)
	w.nothingHappened(before)
}

// TestSeedOfUbuntu: cloud-init takes the three files of a seed from below one
// URL, and gives up on all of them if one is not served.
func TestSeedOfUbuntu(t *testing.T) {
	w := planned(t)
	w.do(site.ImageAdded{Image: site.Image{
		Name: "debian13", Digest: strings.Repeat("u", 64), Family: "ubuntu", Distro: "ubuntu", Version: "24.04.1", Arch: "x86_64",
		Kernel: "casper/vmlinuz", Initrd: "casper/initrd", Repos: []string{"."},
	}})
	w.arm("d1")
	script := w.get(atD1, askD1).Body.String()
	_, seed, ok := strings.Cut(script, "ds=nocloud-net;s=http://")
	seed, _, _ = strings.Cut(seed, " ")
	_, below, _ := strings.Cut(seed, "/")
	if !ok || !strings.HasSuffix(below, "/") {
		t.Fatalf("no seed in\n%s", script)
	}
	contains(t, "the script", script, "/images/"+strings.Repeat("u", 64)+".iso")
	before := w.seq()
	for _, name := range []string{"user-data", "meta-data", "vendor-data"} {
		r := w.get(atD1, "/"+below+name)
		same(t, name, r.Code, http.StatusOK)
		contains(t, "the type of "+name, r.Header().Get("Content-Type"), "text/cloud-config")
	}
	same(t, "network-config, which newer cloud-init asks for too", w.get(atD1, "/"+below+"network-config").Code, http.StatusNotFound)
	if kinds := w.kinds(before); !slices.Equal(kinds, []string{"answer-served", "install-progress", "answer-served", "answer-served"}) {
		t.Errorf("recorded %q", kinds)
	}
	same(t, "the stage", w.node("d1").Attempt.Stage, string(install.StageAnswer))
}
