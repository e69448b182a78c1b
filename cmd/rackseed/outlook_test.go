package main

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/bmc/batch"
	"github.com/rackseed/rackseed/pkg/flight"
)

func TestDeviceOf(t *testing.T) {
	for _, tt := range []struct {
		e     flight.Entry
		want  bmc.Device
		words string
	}{
		{flight.Entry{Source: flight.DHCP, What: "discover", Client: flight.ClientBIOS}, bmc.DevicePXE, "DHCP discover of PXE firmware"},
		{flight.Entry{Source: flight.ProxyDHCP, What: "discover", Client: flight.ClientUEFI}, bmc.DevicePXE, "DHCP discover of PXE firmware"},
		{flight.Entry{Source: flight.DHCP, What: "discover", Client: flight.ClientIPXE}, bmc.DevicePXE, "DHCP discover of iPXE"},
		{flight.Entry{Source: flight.DHCP, What: "discover", Client: flight.ClientHTTP}, bmc.DeviceHTTP, "DHCP discover of UEFI HTTP boot"},
		{flight.Entry{Source: flight.DHCP, What: "request", Client: flight.ClientOS}, bmc.DeviceDisk, "DHCP request of an operating system"},
		{flight.Entry{Source: flight.TFTP, What: "open", Name: "undionly.kpxe"}, bmc.DevicePXE, "TFTP undionly.kpxe"},
		{flight.Entry{Source: flight.HTTP, What: "script", Name: "install"}, bmc.DevicePXE, "HTTP script install"},
		{flight.Entry{Source: flight.HTTP, What: "repository"}, bmc.DeviceNone, ""},
		{flight.Entry{Source: flight.BMC, What: "power-on"}, bmc.DeviceNone, ""},
		{flight.Entry{Source: flight.Log, What: "armed"}, bmc.DeviceNone, ""},
	} {
		if got := deviceOf(tt.e); got != tt.want || tt.words != "" && wordsOf(tt.e) != tt.words {
			t.Errorf("%+v shows %s, %q", tt.e, got, wordsOf(tt.e))
		}
	}
}

func TestAccessLog(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	a := &accessLog{now: func() time.Time { return now }}
	h := a.watch(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	get := func(path, from string) {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.RemoteAddr = from
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != http.StatusNoContent {
			t.Fatalf("%d", w.Code)
		}
	}
	begin := now
	get("/images/ab.iso", "10.21.0.11:4000")
	now = now.Add(time.Minute)
	get("/images/ab.iso", "10.21.0.11:4001")
	get("/images/ab.iso", "[::ffff:10.21.0.12]:4000")
	get("/images/ab/dists/x.iso", "10.20.0.1:1") // a file of a medium is none
	for since, want := range map[time.Time][]batch.Fetch{
		begin: {{From: "10.21.0.11", Times: 2, Last: now}, {From: "10.21.0.12", Times: 1, Last: now}},
		now:   {{From: "10.21.0.11", Times: 1, Last: now}, {From: "10.21.0.12", Times: 1, Last: now}},
	} {
		if diff := cmp.Diff(want, a.since("/images/ab.iso", since)); diff != "" {
			t.Errorf("since %s: %s", since, diff)
		}
	}
	if got := a.since("/images/ab/dists/x.iso", begin); got != nil {
		t.Errorf("%v", got)
	}
	for range 3 * keptVisits {
		get("/images/cd.iso", "10.21.0.13:1")
	}
	if n := len(a.visits); n > keptVisits {
		t.Errorf("%d visits are kept", n)
	}
}

func TestHostOf(t *testing.T) {
	for text, want := range map[string]string{
		"10.21.0.11": "10.21.0.11", "10.21.0.11:6230": "10.21.0.11", "https://10.21.0.11:8443/redfish/v1/Systems/1": "10.21.0.11",
		"[fd00::1]:623": "fd00::1", "fd00::1": "fd00::1", "https://[fd00::1]/": "fd00::1",
	} {
		if got := hostOf(text); got != netip.MustParseAddr(want) {
			t.Errorf("%s is at %s", text, got)
		}
	}
	if got := hostOf("bmc7.example:443"); got.IsValid() {
		t.Errorf("a name is at %s", got)
	}
	if !sameNetwork(netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.90.1.1")) || sameNetwork(netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.0.2.1")) {
		t.Error("the loopback network is not what it is")
	}
}
