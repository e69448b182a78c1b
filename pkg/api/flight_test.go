package api_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/flight"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

func (w *world) observed(seconds int, e flight.Entry) {
	e.At = w.clock().Add(time.Duration(seconds) * time.Second)
	w.flight.Record(e)
}

func (w *world) timeline(query string) (tl flight.Timeline) {
	w.t.Helper()
	r := w.call("GET", "/api/v1/nodes/d1/timeline"+query, "")
	if r.Code != http.StatusOK {
		w.t.Fatalf("answered %d: %s", r.Code, r.Body)
	}
	if err := json.Unmarshal(r.Body.Bytes(), &tl); err != nil {
		w.t.Fatal(err)
	}
	return tl
}

func TestTimeline(t *testing.T) {
	w := planned(t)
	mac, err := site.ParseMAC("52:54:00:00:00:01")
	if err != nil {
		t.Fatal(err)
	}
	if tl := w.timeline(""); len(tl.Entries) != 0 || tl.Node != "d1" {
		t.Errorf("before anything happened: %+v", tl)
	}
	// It was heard before the plan named it, and is the same machine.
	w.observed(-100, flight.Entry{Source: flight.DHCP, MAC: mac, What: "discover", Client: flight.ClientUEFI})
	w.observed(-10, flight.Entry{Source: flight.DHCP, Node: "d1", MAC: mac, What: "discover", Client: flight.ClientUEFI})
	w.observed(-9, flight.Entry{Source: flight.TFTP, Node: "d1", What: "size-probe", Name: "snponly.efi"})
	w.observed(-5, flight.Entry{Source: flight.Log, Node: "d1", What: "install-started", Attempt: 1})
	tl := w.timeline("")
	if len(tl.Entries) != 4 || tl.Attempt != 1 || len(tl.Phases) == 0 || len(tl.Findings) != 1 || tl.Findings[0].ID != "tftp-size-probe" {
		t.Errorf("the timeline is %+v", tl)
	}
	if tl.Entries[2].Cause == "" {
		t.Error("the entry does not say why")
	}
	since := w.clock().Add(-6 * time.Second).Format(time.RFC3339)
	if tl = w.timeline("?attempt=1&since=" + since); len(tl.Entries) != 1 || len(tl.Findings) != 0 || len(tl.Phases) == 0 {
		t.Errorf("since a time it is %+v", tl)
	}
	for path, status := range map[string]int{
		"/api/v1/nodes/d1/timeline?since=yesterday":   http.StatusBadRequest,
		"/api/v1/nodes/d1/timeline?attempt=-1":        http.StatusBadRequest,
		"/api/v1/nodes/nobody/timeline":               http.StatusNotFound,
		"/api/v1/nodes/nobody/pcap":                   http.StatusNotFound,
		"/api/v1/nodes/d1/pcap?attempt=x":             http.StatusBadRequest,
		"/api/v1/nodes/d2/pcap?attempt=3":             http.StatusNotFound,
		"/api/v1/batch?selector=nobody":               http.StatusBadRequest,
		"/api/v1/nodes/52:54:00:00:00:01/timeline":    http.StatusOK,
		"/api/v1/nodes/52-54-00-00-00-01/pcap":        http.StatusOK,
		"/api/v1/batch?selector=d1,d2":                http.StatusOK,
		"/api/v1/nodes/d1/timeline?since=2099-01-01T": http.StatusBadRequest,
	} {
		if r := w.call("GET", path, ""); r.Code != status {
			t.Errorf("%s: %d, want %d: %s", path, r.Code, status, r.Body)
		}
	}
}

func TestBatch(t *testing.T) {
	w := planned(t)
	for node, took := range map[string]int{"d1": 100, "d2": 400} {
		w.observed(-500, flight.Entry{Source: flight.BMC, Node: node, What: "power-on"})
		w.observed(-500+took, flight.Entry{Source: flight.DHCP, Node: node, What: "discover", Client: flight.ClientUEFI})
	}
	var b flight.Batch
	if err := json.Unmarshal(w.call("GET", "/api/v1/batch", "").Body.Bytes(), &b); err != nil {
		t.Fatal(err)
	}
	if len(b.Runs) != 3 || b.Runs[0].Node != "d1" || b.Runs[0].State != "planned" {
		t.Errorf("the batch is %+v", b)
	}
	if len(b.Shares) == 0 || b.Shares[0].Name != flight.PhasePOST || b.Shares[0].Slowest != "d2" || b.Shares[0].Longest != 400*time.Second {
		t.Errorf("the shares are %+v", b.Shares)
	}
}

func TestPcap(t *testing.T) {
	w := planned(t)
	packet := func(seconds int) {
		w.flight.Packet(flight.Packet{
			At: w.clock().Add(time.Duration(seconds) * time.Second), Node: "d1", MAC: site.MAC{2, 0, 0, 0, 0, 1}, Data: []byte("a packet"),
			From: netip.MustParseAddrPort("0.0.0.0:68"), To: netip.MustParseAddrPort("255.255.255.255:67"),
		})
	}
	packet(-1000)
	packet(-10)
	w.observed(-10, flight.Entry{Source: flight.DHCP, Node: "d1", What: "discover", Client: flight.ClientUEFI})
	w.observed(-5, flight.Entry{Source: flight.Log, Node: "d1", What: "install-started", Attempt: 1})
	const header, record = 24, 16 + 14 + 20 + 8 + len("a packet")
	for query, packets := range map[string]int{"": 2, "?attempt=1": 1} {
		r := w.call("GET", "/api/v1/nodes/d1/pcap"+query, "")
		if r.Code != http.StatusOK || r.Body.Len() != header+packets*record || r.Header().Get("Content-Type") != "application/vnd.tcpdump.pcap" {
			t.Errorf("%q: %d, %s, %d bytes, want %d packets", query, r.Code, r.Header().Get("Content-Type"), r.Body.Len(), packets)
		}
	}
}

func TestTimelineIsFollowed(t *testing.T) {
	w := planned(t)
	w.observed(0, flight.Entry{Source: flight.DHCP, Node: "d1", What: "discover"})
	server := httptest.NewServer(w.routes)
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/api/v1/nodes/d1/timeline", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	next := func() flight.Entry {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				var e flight.Entry
				if err := json.Unmarshal([]byte(data), &e); err != nil {
					t.Fatal(err)
				}
				return e
			}
		}
		t.Fatal("the stream ended")
		return flight.Entry{}
	}
	if e := next(); e.What != "discover" {
		t.Errorf("first came %+v", e)
	}
	w.observed(1, flight.Entry{Source: flight.DHCP, Node: "d1", What: "request"})
	if e := next(); e.What != "request" {
		t.Errorf("then came %+v", e)
	}
}

// What was said behind an event is explained from the log as it was then.
func TestExplainOfThePast(t *testing.T) {
	w := planned(t)
	before := w.seq()
	w.arm("d1")
	for query, status := range map[string]int{fmt.Sprint("?at=", before): 200, "": 200, "?at=0": 400, "?at=x": 400, "?at=999999": 400} {
		r := w.call("GET", "/api/v1/explain/d1"+query, "")
		if r.Code != status {
			t.Errorf("%q: %d, want %d: %s", query, r.Code, status, r.Body)
		}
		var e view.Explanation
		if err := json.Unmarshal(r.Body.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		if past := query != "" && status == 200; past != (e.Seq == before) || past == e.At.IsZero() {
			t.Errorf("%q: it is of event %d at %s", query, e.Seq, e.At)
		}
	}
}
