package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/view"
)

// TestReport: what was installed, as a document of each kind; what can be
// opened in a browser gets none of the rights of the page.
func TestReport(t *testing.T) {
	w := planned(t)
	w.arm("d1")
	token := w.boot(atD1, askD1)
	w.get(atD1, "/answer/"+token+"/preseed.cfg")
	w.report(atD1, token, install.StageDone, "")
	r := decode[view.Report](t, w.call("GET", "/api/v1/report?selector=d1", ""))
	same(t, "nodes", len(r.Nodes), 1)
	a := r.Nodes[0].Attempts[0]
	same(t, "armed by", a.ArmedBy, "ops")
	same(t, "result", a.Result, "installed")
	same(t, "checksums of answer files", len(a.Answers[0].SHA256), 64)
	same(t, "all nodes", len(decode[view.Report](t, w.call("GET", "/api/v1/report", "")).Nodes), 3)

	page := w.call("GET", "/api/v1/report?format=html&lang=zh", "")
	contains(t, "the page", page.Body.String(), `lang="zh"`, "d1")
	contains(t, "its policy", page.Header().Get("Content-Security-Policy"), "default-src 'none'", "sandbox")
	book := w.call("GET", "/api/v1/report?format=xlsx", "")
	same(t, "the workbook", strings.HasPrefix(book.Body.String(), "PK"), true)
	if strings.Contains(page.Body.String()+book.Body.String(), "CANARY") {
		t.Error("a secret is in the report")
	}
	w.problem("GET", "/api/v1/report?format=pdf", "", http.StatusBadRequest, "usage")
	w.problem("GET", "/api/v1/report?lang=fr", "", http.StatusBadRequest, "usage")
	w.problem("GET", "/api/v1/report?selector=nobody", "", http.StatusBadRequest, "usage")
}
