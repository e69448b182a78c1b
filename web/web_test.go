package web

import (
	"encoding/json"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/flight"
	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/site"
)

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := files.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// scripts are the texts of the page's modules, by name.
func scripts(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := fs.WalkDir(files, "assets/js", func(name string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, ".js") {
			found[name] = read(t, name)
		}
		return err
	})
	if err != nil || len(found) < 10 {
		t.Fatalf("%d scripts, error %v", len(found), err)
	}
	return found
}

func catalogue(t *testing.T, language string) map[string]any {
	t.Helper()
	texts := map[string]any{}
	if err := json.Unmarshal([]byte(read(t, "i18n/"+language+".json")), &texts); err != nil {
		t.Fatal(err)
	}
	return texts
}

var (
	literal  = regexp.MustCompile(`\bt\('([^']+)'`)
	computed = regexp.MustCompile("\\bt\\(`([^`$]+)\\$\\{")
	dynamic  = regexp.MustCompile(`\bt\([^'` + "`" + `)]`)
)

// Every text that the code asks for is in both catalogues, and both hold
// nothing else.
func TestCatalogues(t *testing.T) {
	en, zh := catalogue(t, "en"), catalogue(t, "zh")
	used, prefixes := map[string]bool{}, map[string]bool{}
	for name, text := range scripts(t) {
		for _, m := range literal.FindAllStringSubmatch(text, -1) {
			used[m[1]] = true
		}
		for _, m := range computed.FindAllStringSubmatch(text, -1) {
			prefixes[m[1]] = true
		}
		if m := dynamic.FindString(text); m != "" && name != "assets/js/lib/i18n.js" { // which defines it
			t.Errorf("%s: %s… asks for a text whose key cannot be checked", name, m)
		}
	}
	for _, kind := range labelled(t) {
		prefixes[kind+"."] = true
	}
	covered := func(key string) bool {
		return used[key] || slices.ContainsFunc(slices.Collect(maps.Keys(prefixes)), func(p string) bool { return strings.HasPrefix(key, p) })
	}
	for key := range used {
		if en[key] == nil {
			t.Errorf("%s is in no catalogue", key)
		}
	}
	for key := range en {
		if zh[key] == nil {
			t.Errorf("zh.json lacks %s", key)
		}
		if !covered(key) {
			t.Errorf("nothing uses %s", key)
		}
	}
	for key := range zh {
		if en[key] == nil {
			t.Errorf("en.json lacks %s", key)
		}
	}
}

// labelled are the kinds of names that the daemon's sentences say by a label of
// the page; each has labels.
func labelled(t *testing.T) []string {
	t.Helper()
	zh := catalogue(t, "zh")
	found := map[string]bool{}
	for _, m := range hole.FindAllStringSubmatch(read(t, "i18n/daemon.zh.json"), -1) {
		for _, kind := range strings.Split(m[2], "|") {
			if kind != "" {
				found[kind] = true
			}
		}
	}
	for kind := range found {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(zh)), func(key string) bool { return strings.HasPrefix(key, kind+".") }) {
			t.Errorf("i18n/daemon.zh.json has values of the kind %s, and zh.json no label of it", kind)
		}
	}
	return slices.Sorted(maps.Keys(found))
}

var placeholder = regexp.MustCompile(`\{(\w+)\}`)

// Both languages name the same values in a text.
func TestCataloguesHavePlaceholdersInCommon(t *testing.T) {
	zh := catalogue(t, "zh")
	names := func(v any) []string {
		text, _ := json.Marshal(v)
		if forms, ok := v.(map[string]any); ok {
			text = []byte(forms["other"].(string))
		}
		var found []string
		for _, m := range placeholder.FindAllStringSubmatch(string(text), -1) {
			found = append(found, m[1])
		}
		slices.Sort(found)
		return slices.Compact(found)
	}
	for key, text := range catalogue(t, "en") {
		if a, b := names(text), names(zh[key]); !slices.Equal(a, b) {
			t.Errorf("%s: en has %v, zh has %v", key, a, b)
		}
	}
}

var kindOf = regexp.MustCompile(`\) Kind\(\) string +\{ return "([a-z-]+)" \}`)

// kinds are those of all events.
func kinds(t *testing.T) []string {
	t.Helper()
	var found []string
	names, err := filepath.Glob("../pkg/site/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range kindOf.FindAllStringSubmatch(string(text), -1) {
			found = append(found, m[1])
		}
	}
	if len(found) < 30 {
		t.Fatalf("%d kinds of events", len(found))
	}
	return found
}

// The page knows every state, stage, phase, kind of event and source of a timeline by name.
func TestNamesOfTheDaemon(t *testing.T) {
	en := catalogue(t, "en")
	var keys []string
	for _, p := range []site.Phase{
		site.PhaseSeen, site.PhasePlanned, site.PhaseArmed, site.PhaseBooting, site.PhaseInstalling,
		site.PhaseInstalled, site.PhaseReady, site.PhaseFailed, site.PhaseHeld,
	} {
		keys = append(keys, "state."+string(p))
	}
	stages := regexp.MustCompile(`stages = \[([^\]]+)\]`).FindStringSubmatch(scripts(t)["assets/js/lib/states.js"])[1]
	var listed []string
	for _, row := range install.Table() {
		keys = append(keys, "stage."+string(row.Stage))
		listed = append(listed, "'"+string(row.Stage)+"'")
	}
	if want := strings.Join(listed, ", "); stages != want {
		t.Errorf("lib/states.js has the stages %s; pkg/install has %s", stages, want)
	}
	for _, p := range []string{
		flight.PhasePOST, flight.PhaseDHCP, flight.PhaseLoader, flight.PhaseKernel, flight.PhaseStage2, flight.PhasePartition,
		flight.PhasePackages, flight.PhaseConfigure, flight.PhaseReboot, flight.PhaseSecondPOST, flight.PhaseVerify,
	} {
		keys = append(keys, "phase."+p)
	}
	for _, s := range []flight.Source{flight.DHCP, flight.ProxyDHCP, flight.TFTP, flight.HTTP, flight.BMC, flight.Installer, flight.Syslog, flight.Console, flight.Log} {
		keys = append(keys, "source."+string(s))
	}
	for _, kind := range kinds(t) {
		keys = append(keys, "event."+kind)
	}
	for _, key := range keys {
		if en[key] == nil {
			t.Errorf("the catalogues lack %s", key)
		}
	}
}

var (
	outside = regexp.MustCompile(`(?i)(https?:)?//[a-z0-9.-]+\.[a-z]{2,}`)
	inline  = regexp.MustCompile(`(?i)<script>|<script [^>]*>[^<]|<style|\son[a-z]+=|\sstyle=|javascript:|innerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function`)
)

// The page needs nothing from elsewhere and works under its own policy.
func TestPageStandsAlone(t *testing.T) {
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text := strings.ReplaceAll(read(t, name), "http://www.w3.org/2000/svg", "")      // a name, not an address
		if m := outside.FindString(text); m != "" && !strings.HasPrefix(name, "i18n/") { // where people read it
			t.Errorf("%s names %s", name, m)
		}
		if m := inline.FindString(text); m != "" {
			t.Errorf("%s: %q would not pass the Content-Security-Policy", name, m)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestHandler(t *testing.T) {
	for _, c := range []struct {
		path, kind, has string
		status          int
	}{
		{"/", "text/html; charset=utf-8", "<title>Rackseed", http.StatusOK},
		{"/nodes/cs-controller-01", "text/html; charset=utf-8", "<title>Rackseed", http.StatusOK},
		{"/nodes/52:54:00:00:00:01", "text/html; charset=utf-8", "<title>Rackseed", http.StatusOK},
		{"/assets/js/main.js", "text/javascript; charset=utf-8", "import", http.StatusOK},
		{"/assets/css/theme.css", "text/css; charset=utf-8", ":root", http.StatusOK},
		{"/assets/i18n/zh.json", "application/json", "看板", http.StatusOK},
		{"/assets/../../etc/passwd", "text/html; charset=utf-8", "<title>Rackseed", http.StatusOK},
		{"/assets/none.js", "", "", http.StatusNotFound},
	} {
		w := httptest.NewRecorder()
		Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, c.path, nil))
		if w.Code != c.status || c.kind != "" && w.Header().Get("Content-Type") != c.kind || !strings.Contains(w.Body.String(), c.has) {
			t.Errorf("%s: %d %s", c.path, w.Code, w.Header().Get("Content-Type"))
		}
		csp := w.Header().Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", c.path, csp)
		}
	}
}
