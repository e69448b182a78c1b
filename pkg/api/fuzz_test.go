package api_test

import (
	"bytes"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/install"
)

// FuzzMachineSide sends what firmware never would: no request of the wire
// makes the daemon panic, answer with a redirect, or fail. TOKEN in a target
// stands for the token of an attempt that runs.
func FuzzMachineSide(f *testing.F) {
	f.Add("GET", askD1, []byte(nil))
	f.Add("GET", askD1two, []byte(nil))
	f.Add("HEAD", askD2, []byte(nil))
	f.Add("GET", "/boot/node.ipxe?mac=52:54:00:00:00:01&serial=X&uuid=%00", []byte(nil))
	f.Add("GET", "/boot/boot.ipxe", []byte(nil))
	f.Add("GET", "/boot/snponly.efi", []byte(nil))
	f.Add("GET", "/boot/../../etc/passwd", []byte(nil))
	f.Add("GET", "/boot/..%2f..%2fetc%2fpasswd", []byte(nil))
	f.Add("GET", "//boot//snponly.efi", []byte(nil))
	f.Add("GET", "/answer/TOKEN/preseed.cfg", []byte(nil))
	f.Add("GET", "/answer/TOKEN/%2e%2e/preseed.cfg", []byte(nil))
	f.Add("POST", "/report/TOKEN/early", []byte("detail"))
	f.Add("POST", "/report/TOKEN/failed", []byte("\x1b[2J\u202e"))
	f.Add("POST", "/report/TOKEN/verified", []byte("a\nb\n"))
	f.Add("PUT", "/report/TOKEN/evidence", []byte("\x1f\x8b"))
	f.Add("DELETE", "/api/v1/images/rocky9", []byte(nil))
	f.Add("PROPFIND", "*", []byte(nil))
	f.Fuzz(func(t *testing.T, method, target string, body []byte) {
		w := planned(t)
		w.arm("d1,r1")
		token := w.boot(atD1, askD1)
		u, err := url.ParseRequestURI(strings.ReplaceAll(target, "TOKEN", token))
		if err != nil || method == "" {
			return // net/http answers these itself
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Method, r.URL, r.RequestURI = method, u, target
		got := w.send(atD1, r)
		switch {
		case got.Code >= 300 && got.Code < 400:
			t.Errorf("%s %s was redirected: %d %s", method, target, got.Code, got.Header().Get("Location"))
		case got.Code >= 500:
			t.Errorf("%s %s: %d %s", method, target, got.Code, got.Body)
		}
		if got.Code == http.StatusOK && installerFor.MatchString(got.Body.String()) && !strings.Contains(got.Body.String(), token) && !strings.Contains(got.Body.String(), "r1: install attempt 1") {
			t.Errorf("%s %s was given an installer:\n%s", method, target, got.Body)
		}
		if n := w.node("d2").Attempt.Number; n != 0 {
			t.Errorf("%s %s installs a machine that is not armed", method, target)
		}
		if m := w.node("d1"); m.Attempt.Number > 1 || m.Attempt.Boots > 1 && m.Attempt.Stage == string(install.StageLoader) {
			t.Errorf("%s %s installs twice", method, target)
		}
	})
}

var installerFor = regexp.MustCompile(`(?m)^kernel `)
