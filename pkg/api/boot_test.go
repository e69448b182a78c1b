package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/seal"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/store"
)

func TestUnarmedNodeStartsFromItsDisk(t *testing.T) {
	w := planned(t)
	before := w.seq()
	isLocal(t, w.get(atD1, askD1))
	w.nothingHappened(before)
}

func TestArmedNodeInstalls(t *testing.T) {
	w := planned(t)
	w.arm("d1")
	r := w.get(atD1, askD1)
	same(t, "status", r.Code, http.StatusOK)
	same(t, "the cache", r.Header().Get("Cache-Control"), "no-store")
	same(t, "the length", r.Header().Get("Content-Length"), fmt.Sprint(r.Body.Len()))
	digest := media()[0].Digest
	contains(t, "the script", r.Body.String(),
		"kernel --name vmlinuz http://10.20.0.1:8080/images/"+digest+"/linux initrd=initrd.img ",
		"initrd --name initrd.img http://10.20.0.1:8080/images/"+digest+"/initrd.gz",
		"http://10.20.0.1:8080/answer/")
	m := w.node("d1")
	same(t, "the state", m.Phase, site.PhaseBooting)
	same(t, "the attempt", m.Attempt.Number, 1)
	same(t, "the address", m.Attempt.Addr.String(), "10.20.1.1")
	same(t, "the recorded token", m.Attempt.Token, seal.HashToken(tokenOf.FindStringSubmatch(r.Body.String())[1]))
}

func TestAskingAgainIsTheSameAttempt(t *testing.T) {
	w := planned(t)
	w.arm("d1")
	first := w.get(atD1, askD1).Body.String()
	before := w.seq()
	for range 5 {
		if again := w.get(atD1, askD1).Body.String(); again != first {
			t.Errorf("the script changed to:\n%s", again)
		}
	}
	w.nothingHappened(before)
	same(t, "the attempt", w.node("d1").Attempt.Number, 1)
}

// TestTwoNICsAtOnce: firmware that tries every port at the same moment still
// gets one attempt.
func TestTwoNICsAtOnce(t *testing.T) {
	w := planned(t)
	w.arm("d1")
	tokens := make([]string, 32)
	var all sync.WaitGroup
	for i := range tokens {
		all.Go(func() {
			tokens[i] = tokenOf.FindString(w.get(atD1, []string{askD1, askD1two}[i%2]).Body.String())
		})
	}
	all.Wait()
	if distinct := slices.Compact(slices.Sorted(slices.Values(tokens))); len(distinct) != 1 || distinct[0] == "" {
		t.Errorf("the tokens are %q", distinct)
	}
	started := 0
	for _, kind := range w.kinds(0) {
		if kind == "install-started" {
			started++
		}
	}
	same(t, "attempts begun", started, 1)
}

func TestHEADStartsNothing(t *testing.T) {
	w := planned(t)
	w.arm("d1")
	before := w.seq()
	r := w.ask(atD1, http.MethodHead, askD1, "")
	same(t, "status", r.Code, http.StatusOK)
	same(t, "the body", r.Body.Len(), 0)
	w.nothingHappened(before)
	same(t, "the state", w.node("d1").Phase, site.PhaseArmed)
}

func TestStrangerIsToldNothing(t *testing.T) {
	w := planned(t)
	w.arm("all")
	before := w.seq()
	for _, ask := range []string{
		"/boot/node.ipxe?mac=52:54:00:99:99:99",
		"/boot/node.ipxe?mac=52:54:00:99:99:99&uuid=00000000-0000-0000-0000-000000000000&serial=To+be+filled+by+O.E.M.",
		"/boot/node.ipxe?mac=52:54:00:99:99:99&uuid=03000200-0400-0500-0006-000700080009&serial=Default+string",
	} {
		r := w.get(atLAN, ask)
		same(t, "status", r.Code, http.StatusNotFound)
		noInstaller(t, r)
	}
	w.nothingHappened(before)
}

func TestWithoutMACIsWrong(t *testing.T) {
	w := planned(t)
	for _, query := range []string{"", "?mac=", "?mac=garbage", "?uuid=11111111-1111-4111-8111-111111111101", "?mac=${netX/mac}"} {
		same(t, query, w.get(atD1, "/boot/node.ipxe"+query).Code, http.StatusBadRequest)
	}
}

// TestExchangedNIC: a machine whose NIC the plan does not name is known by
// what its board says.
func TestExchangedNIC(t *testing.T) {
	w := planned(t)
	w.arm("d2")
	w.boot(atD2, "/boot/node.ipxe?mac=52:54:00:99:99:99&uuid=11111111-1111-4111-8111-111111111102")
	same(t, "the NIC of the attempt", w.node("d2").Attempt.MAC.String(), "52:54:00:99:99:99")
}

// TestDoubtIsHeld: claims that contradict each other or the plan stop an
// armed node, loudly, until an operator ends the hold.
func TestDoubtIsHeld(t *testing.T) {
	for name, claim := range map[string]string{
		"the UUID of another node":   "/boot/node.ipxe?mac=52:54:00:00:00:01&uuid=11111111-1111-4111-8111-111111111102",
		"the serial of another node": "/boot/node.ipxe?mac=52:54:00:00:00:01&serial=SERIAL-R1",
		"another serial":             "/boot/node.ipxe?mac=52:54:00:00:00:01&serial=SOMETHING-ELSE",
	} {
		t.Run(name, func(t *testing.T) {
			w := planned(t)
			w.arm("d1")
			before := w.seq()
			for range 3 {
				r := w.get(atD1, claim)
				same(t, "status", r.Code, http.StatusOK)
				contains(t, "the script", r.Body.String(), "d1 waits for an operator", "rackseed explain d1", "sleep 20")
				noInstaller(t, r)
			}
			if kinds := w.kinds(before); !slices.Equal(kinds, []string{"node-held"}) {
				t.Errorf("recorded %q", kinds)
			}
			contains(t, "the log", w.log.String(), "identity is in doubt", "node=d1")
			// The right machine is stopped, too: who is who is not known.
			r := w.get(atD1, askD1)
			contains(t, "the script", r.Body.String(), "waits for an operator")
			noInstaller(t, r)
			if r := w.call(http.MethodPost, "/api/v1/disarm", `{"selector": "d1", "by": "ops"}`); r.Code != http.StatusOK {
				t.Fatal(r.Body)
			}
			isLocal(t, w.get(atD1, askD1))
		})
	}
}

// TestDoubtAboutAnUnarmedNode stops nothing that runs: a liar on the wire must
// not take a node out of service.
func TestDoubtAboutAnUnarmedNode(t *testing.T) {
	w := planned(t)
	before := w.seq()
	noInstaller(t, w.get(atD1, "/boot/node.ipxe?mac=52:54:00:00:00:01&serial=SOMETHING-ELSE"))
	w.nothingHappened(before)
	isLocal(t, w.get(atD1, askD1))
}

func TestDiskAfterwardsForEver(t *testing.T) {
	w := planned(t)
	w.arm("d1")
	token := w.boot(atD1, askD1)
	w.report(atD1, token, install.StageDone, "")
	before := w.seq()
	for range 3 {
		isLocal(t, w.get(atD1, askD1))
		w.pass(1000 * time.Hour)
	}
	w.nothingHappened(before)
}

// TestPowerCut: the installer is handed out again within the attempt, twice;
// the third return is no accident any more.
func TestPowerCut(t *testing.T) {
	w := planned(t)
	w.arm("d1")
	token := w.boot(atD1, askD1)
	w.report(atD1, token, install.StageEarly, "")
	for boots := 2; boots <= 3; boots++ {
		if again := w.boot(atD1, askD1); again != token {
			t.Error("the attempt got another token")
		}
		same(t, "boots", w.node("d1").Attempt.Boots, boots)
		for _, file := range []string{"preseed.cfg", "early.sh", "disk.sh", "late.sh", "tune.sh"} {
			same(t, file, w.get(atD1, "/answer/"+token+"/"+file).Code, http.StatusOK)
		}
		w.report(atD1, token, install.StagePartitioned, "")
	}
	r := w.get(atD1, askD1)
	contains(t, "the script", r.Body.String(), "waits for an operator", "started 3 times")
	noInstaller(t, r)
	same(t, "the state", w.node("d1").Phase, site.PhaseFailed)
	same(t, "the answer file afterwards", w.get(atD1, "/answer/"+token+"/preseed.cfg").Code, http.StatusNotFound)
}

func TestArmingRunsOut(t *testing.T) {
	w := planned(t)
	w.arm("d1")
	w.pass(install.DefaultArming)
	isLocal(t, w.get(atD1, askD1))
}

// TestUnrenderableIsHeld: the arming is not used up for an installer that
// would wait for its answer file for ever.
func TestUnrenderableIsHeld(t *testing.T) {
	w := planned(t)
	w.arm("d1")
	odd := media()[0]
	odd.Family = "plan9"
	w.do(site.ImageAdded{Image: odd})
	before := w.seq()
	r := w.get(atD1, askD1)
	contains(t, "the script", r.Body.String(), "waits for an operator")
	noInstaller(t, r)
	w.nothingHappened(before)
	same(t, "the state", w.node("d1").Phase, site.PhaseArmed)
	w.do(site.ImageAdded{Image: media()[0]})
	w.boot(atD1, askD1)
}

// TestNothingStartsThatIsNotRecorded is law 4 at the machine side.
func TestNothingStartsThatIsNotRecorded(t *testing.T) {
	w := planned(t)
	w.arm("d1,d2")
	token := w.boot(atD2, askD2)
	w.store.breakWith(fmt.Errorf("appending: %w", store.ErrNoSpace))
	before := w.seq()

	r := w.get(atD1, askD1)
	same(t, "status of a boot", r.Code, http.StatusServiceUnavailable)
	same(t, "when to come back", r.Header().Get("Retry-After"), "5")
	noInstaller(t, r)
	same(t, "status of an answer file", w.get(atD2, "/answer/"+token+"/preseed.cfg").Code, http.StatusServiceUnavailable)
	same(t, "status of a report", w.ask(atD2, http.MethodPost, "/report/"+token+"/early", "").Code, http.StatusServiceUnavailable)
	same(t, "status of evidence", w.ask(atD2, http.MethodPut, "/report/"+token+"/evidence", "x").Code, http.StatusServiceUnavailable)
	isLocal(t, w.get(atR1, askR1)) // what needs no record goes on

	w.store.mend()
	w.nothingHappened(before)
	w.boot(atD1, askD1)
	same(t, "status of the report afterwards", w.ask(atD2, http.MethodPost, "/report/"+token+"/early", "").Code, http.StatusNoContent)
}

// TestBrokenLog: after a failed fsync nothing is handed out any more.
func TestBrokenLog(t *testing.T) {
	w := planned(t)
	w.arm("d1")
	w.store.breakWith(fmt.Errorf("appending: %w", store.ErrFailed))
	for range 2 {
		r := w.get(atD1, askD1)
		same(t, "status", r.Code, http.StatusServiceUnavailable)
		noInstaller(t, r)
	}
	<-w.ended
	w.store.mend()
	same(t, "status once the writer has ended", w.get(atD1, askD1).Code, http.StatusServiceUnavailable)
	same(t, "the state", w.node("d1").Phase, site.PhaseArmed)
}

func TestLoaders(t *testing.T) {
	w := planned(t)
	r := w.get(atLAN, "/boot/snponly.efi")
	same(t, "status", r.Code, http.StatusOK)
	same(t, "the body", r.Body.String(), "a loader")
	same(t, "the type", r.Header().Get("Content-Type"), "application/efi") // UEFI 2.10 section 24.7
	same(t, "the length", r.Header().Get("Content-Length"), "8")
	same(t, "HEAD", w.ask(atLAN, http.MethodHead, "/boot/snponly.efi", "").Header().Get("Content-Length"), "8")
	for _, path := range []string{"/boot/", "/boot", "/boot/nothing.efi", "/boot/snponly.efi/", "/boot/x/snponly.efi", "/boot/../boot/snponly.efi", "/boot/%2e%2e/snponly.efi", "/boot/..%2fsnponly.efi"} {
		same(t, path, w.get(atLAN, path).Code, http.StatusNotFound)
	}
}

func TestBootstrapLeadsBackTheSameWay(t *testing.T) {
	w := planned(t)
	for _, name := range []string{"boot.ipxe", "autoexec.ipxe"} {
		r := w.get(atLAN, "/boot/"+name)
		same(t, "status", r.Code, http.StatusOK)
		contains(t, name, r.Body.String(), "chain --replace http://10.20.0.1:8080/boot/node.ipxe?mac=${netX/mac}")
		if strings.Contains(r.Body.String(), "example.com") { // the Host that httptest sends
			t.Errorf("the script trusts the Host header:\n%s", r.Body)
		}
	}
}
