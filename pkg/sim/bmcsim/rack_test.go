package bmcsim

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/rackseed/rackseed/pkg/sim"
)

// TestRack: 512 BMCs, each with a machine, an address and a certificate of
// its own, and answers that are its own.
func TestRack(t *testing.T) {
	const n = 512
	rack := Rack(n, Config{}, FaultLies, Fault401)
	f, err := Serve(netip.MustParseAddrPort("127.88.0.1:0"), rack...)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Addresses[300].Addr() != netip.MustParseAddr("127.88.1.45") || f.Addresses[300].Port() != f.Addresses[0].Port() {
		t.Errorf("BMC 300 is at %s", f.Addresses[300])
	}
	if !rack[0].has(FaultLies) || !rack[1].has(Fault401) || len(rack[2].faults) != 0 {
		t.Error("the faults are not where they belong")
	}
	machines := sim.Rack(nil, n, nil)
	certificates := map[string]bool{}
	for _, i := range []int{0, 2, 255, 256, 511} {
		c := client{t: t, url: f.URL(i), user: "admin", password: "rackseed"}
		if got := c.want(200, "GET", systemPath, nil).body["SerialNumber"]; got != machines[i].Serial {
			t.Errorf("BMC %d is of %v, want %v", i, got, machines[i].Serial)
		}
		if got := c.want(200, "GET", systemPath+"/EthernetInterfaces/NIC1", nil).body["MACAddress"]; got != machines[i].MAC.String() {
			t.Errorf("BMC %d has port %v, want %v", i, got, machines[i].MAC)
		}
		conn, err := tls.Dial("tcp", f.Addresses[i].String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		certificates[string(conn.ConnectionState().PeerCertificates[0].Raw)] = true
		_ = conn.Close()
	}
	if len(certificates) != 5 {
		t.Errorf("%d certificates for 5 BMCs", len(certificates))
	}
}

// TestNothingIsLeft: a front that is closed while its BMCs hang, fetch and
// run machines leaves no goroutine behind.
func TestNothingIsLeft(t *testing.T) {
	before := goleak.IgnoreCurrent()
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	b, hung := New(Config{On: true}), New(Config{Faults: []sim.Fault{FaultHang}})
	f, err := Serve(netip.MustParseAddrPort("127.0.0.1:0"), b, hung)
	if err != nil {
		t.Fatal(err)
	}
	var asking sync.WaitGroup
	for i, body := range []map[string]any{{"Image": silent.URL + "/a.iso"}, {"Image": "x"}} {
		c := client{t: t, url: f.URL(i), user: "admin", password: "rackseed"}
		asking.Go(func() {
			if g, err := c.try("PATCH", managerPath+"/VirtualMedia/Cd", body); err == nil {
				t.Errorf("BMC %d answered %d", i, g.status)
			}
		})
	}
	eventually(t, "both requests", func() bool { return b.Requests() == 1 && hung.Requests() == 1 })
	f.Close()
	asking.Wait()
	silent.Close()
	goleak.VerifyNone(t, before)
}

func TestServeIsForLoopback(t *testing.T) {
	if _, err := Serve(netip.MustParseAddrPort("0.0.0.0:0")); err == nil {
		t.Error("it opened the network")
	}
}
