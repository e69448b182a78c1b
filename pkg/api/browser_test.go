package api_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/rackseed/rackseed/pkg/api"
)

// TestBrowser is the whole matrix: a page of another origin can change
// nothing, and one that reached us through a rebound name can read nothing.
func TestBrowser(t *testing.T) {
	hosts := map[string]bool{
		"127.0.0.1:8090": true, "localhost:8090": true, "[::1]:8090": true, "127.1.2.3:8090": true,
		"evil.test:8090": false, "127.0.0.1:9999": false, "127.0.0.1": false, "10.20.0.1:8090": false, "localhost.evil.test:8090": false,
		"": false, "localhost": false, "127.0.0.1.evil.test:8090": false, "0.0.0.0:8090": false, "[::]:8090": false,
	}
	sites := map[string]bool{"": true, "same-origin": true, "none": true, "same-site": false, "cross-site": false}
	for host, ours := range hosts {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete} {
			for site, near := range sites {
				for _, origin := range []string{"", "own", "http://evil.test:8090", "null"} {
					reached := false
					guarded := api.Browser(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }), "127.0.0.1:8090")
					r := httptest.NewRequestWithContext(t.Context(), method, "/api/v1/arm", http.NoBody)
					r.Host = host
					text := origin
					if origin == "own" {
						text = "http://" + host
					}
					set(r, "Origin", text)
					set(r, "Sec-Fetch-Site", site)
					got := httptest.NewRecorder()
					guarded.ServeHTTP(got, r)

					reads := method == http.MethodGet || method == http.MethodHead
					// Where the browser does not say how near the page is, its
					// origin has to be ours.
					trusted := near && (site != "" || origin == "" || origin == "own")
					want, status := ours && (reads || trusted), http.StatusOK
					switch {
					case !ours:
						status = http.StatusMisdirectedRequest
					case !want:
						status = http.StatusForbidden
					}
					name := fmt.Sprintf("%s host %q origin %q site %q", method, host, origin, site)
					same(t, name+": reached", reached, want)
					same(t, name+": status", got.Code, status)
				}
			}
		}
	}
}

func set(r *http.Request, key, value string) {
	if value != "" {
		r.Header.Set(key, value)
	}
}

// TestBrowserOnPort80: browsers leave the port out there.
func TestBrowserOnPort80(t *testing.T) {
	for host, want := range map[string]int{"127.0.0.1": 200, "localhost": 200, "[::1]": 200, "127.0.0.1:80": 200, "evil.test": 421, "127.0.0.1:8090": 421} {
		guarded := api.Browser(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), "127.0.0.1:80")
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.Host = host
		got := httptest.NewRecorder()
		guarded.ServeHTTP(got, r)
		same(t, host, got.Code, want)
	}
}
