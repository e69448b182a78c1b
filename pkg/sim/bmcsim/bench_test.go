package bmcsim

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"runtime"
	"sync"
	"testing"
)

// BenchmarkRack is the cost of the double: 512 BMCs that are opened, asked
// once each for their system over a connection of its own, and closed.
func BenchmarkRack(b *testing.B) {
	for b.Loop() {
		front, err := Serve(netip.MustParseAddrPort("127.89.0.1:0"), Rack(512, Config{})...)
		if err != nil {
			b.Fatal(err)
		}
		hc := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
		var all sync.WaitGroup
		slots := make(chan struct{}, 64)
		for i := range front.Addresses {
			slots <- struct{}{}
			all.Go(func() {
				defer func() { <-slots }()
				if err := ask(b, hc, front.URL(i)+systemPath); err != nil {
					b.Error(err)
				}
			})
		}
		all.Wait()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.HeapInuse+m.StackInuse)/(1<<20), "MiB")
		front.Close()
	}
}

func ask(b *testing.B, hc *http.Client, url string) error {
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.SetBasicAuth("admin", "rackseed")
	resp, err := hc.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
