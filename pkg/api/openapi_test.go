package api_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/go-chi/chi/v5"
	"github.com/google/go-cmp/cmp"
)

const openAPIFile = "openapi.json"

var update = flag.Bool("update", false, "write the schemas of openapi.json from the Go types")

// TestOpenAPISchemasFollowTheTypes: a field that is added to a document of
// the API is in its description, with the words of its Go comment.
func TestOpenAPISchemasFollowTheTypes(t *testing.T) {
	var doc map[string]any
	data, err := os.ReadFile(openAPIFile)
	if err == nil {
		err = json.Unmarshal(data, &doc)
	}
	if err != nil {
		t.Fatal(err)
	}
	components := doc["components"].(map[string]any)
	want := schemasOf(t)
	if *update {
		components["schemas"] = want
		var out bytes.Buffer
		e := json.NewEncoder(&out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(doc); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(openAPIFile, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	var plain any // as it reads back
	text, _ := json.Marshal(want)
	_ = json.Unmarshal(text, &plain)
	if diff := cmp.Diff(plain, components["schemas"]); diff != "" {
		t.Errorf("run go test ./pkg/api -run OpenAPI -update (-types +openapi.json):\n%s", diff)
	}
}

// TestOpenAPINamesEveryRoute, and no other.
func TestOpenAPINamesEveryRoute(t *testing.T) {
	doc := loadOpenAPI(t)
	described := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			described[method+" "+path] = true
			if op.Summary == "" || op.OperationID == "" || len(op.Tags) != 1 {
				t.Errorf("%s %s lacks a summary, an operationId or a tag", method, path)
			}
			if !strings.HasPrefix(path, "/api/") {
				continue
			}
			problem := op.Responses.Default()
			if problem == nil || problem.Value.Content["application/problem+json"] == nil {
				t.Errorf("%s %s: its errors are not application/problem+json", method, path)
			}
		}
	}
	served := map[string]bool{}
	err := chi.Walk(newWorld(t).routes.(chi.Routes), func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if route != "/*" && !strings.HasPrefix(route, "/debug/") {
			served[method+" "+route] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(served)), slices.Sorted(maps.Keys(described))); diff != "" {
		t.Errorf("openapi.json (-routes +document):\n%s", diff)
	}
}

func TestOpenAPIIsServed(t *testing.T) {
	if *update {
		t.Skip("this binary was built with the file as it was before")
	}
	w := newWorld(t)
	r := w.call("GET", "/api/v1/openapi.json", "")
	want, err := os.ReadFile(openAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(r.Body.Bytes(), want) {
		t.Error("it is not the file")
	}
}

// loadOpenAPI reads and validates the document.
func loadOpenAPI(t testing.TB) *openapi3.T {
	t.Helper()
	doc, err := openAPIOnce()
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

var openAPIOnce = sync.OnceValues(func() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromFile(openAPIFile)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", openAPIFile, err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, fmt.Errorf("%s is not OpenAPI 3.1: %w", openAPIFile, err)
	}
	doc.Servers = nil // any address will do
	return doc, nil
})

var routerOnce = sync.OnceValues(func() (routers.Router, error) {
	doc, err := openAPIOnce()
	if err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(doc)
})

// description compares what the tests of this package send and get with
// openapi.json.
type description struct {
	t       testing.TB
	router  routers.Router
	handler http.Handler
}

// described puts the document before a handler: a request that is answered
// well and does not fit it, or an answer that does not, fails the test.
func described(t testing.TB, h http.Handler) http.Handler {
	t.Helper()
	router, err := routerOnce()
	if err != nil {
		t.Fatal(err)
	}
	return &description{t: t, router: router, handler: h}
}

func (d *description) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	route, params, err := d.router.FindRoute(r)
	if err != nil || strings.Contains(r.Header.Get("Accept"), "event-stream") {
		d.handler.ServeHTTP(w, r) // nothing there, or read as it grows
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		d.t.Error(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	got := &recorded{ResponseWriter: w, status: http.StatusOK}
	d.handler.ServeHTTP(got, r)
	r.Body = io.NopCloser(bytes.NewReader(body))
	d.compare(r, route, params, got)
}

func (d *description) compare(r *http.Request, route *routers.Route, params map[string]string, got *recorded) {
	name := r.Method + " " + r.URL.String()
	notJSON := !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") // a plan as written is any text
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route, Options: &openapi3filter.Options{IncludeResponseStatus: true, ExcludeRequestBody: notJSON}}
	if got.status < 400 {
		if err := openapi3filter.ValidateRequest(r.Context(), in); err != nil {
			d.t.Errorf("%s was answered, but openapi.json does not know such a request: %v", name, err)
		}
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: got.status, Header: got.Header(), Options: in.Options}
	kind, _, _ := strings.Cut(got.Header().Get("Content-Type"), ";")
	switch kind {
	case "application/json", "application/problem+json":
		out.SetBodyBytes(got.body.Bytes())
	case "application/x-ndjson":
		d.lines(name, route, got)
		fallthrough
	default:
		out.Options = &openapi3filter.Options{IncludeResponseStatus: true, ExcludeResponseBody: true}
		d.documented(name, kind, route, got.status)
	}
	if err := openapi3filter.ValidateResponse(r.Context(), out); err != nil {
		d.t.Errorf("the answer to %s is not as openapi.json says: %v\n%s", name, err, got.body.Bytes())
	}
}

// documented checks the media type of an answer whose body is not JSON.
func (d *description) documented(name, kind string, route *routers.Route, status int) {
	response := route.Operation.Responses.Status(status)
	if response == nil {
		response = route.Operation.Responses.Default()
	}
	if kind != "" && response != nil && response.Value.Content[kind] == nil {
		d.t.Errorf("%s was answered %d with %q, which openapi.json does not name", name, status, kind)
	}
}

// lines checks each line of a body of JSON lines.
func (d *description) lines(name string, route *routers.Route, got *recorded) {
	media := route.Operation.Responses.Status(got.status).Value.Content["application/x-ndjson"]
	if media == nil {
		return // documented says so
	}
	for s := bufio.NewScanner(bytes.NewReader(got.body.Bytes())); s.Scan(); {
		var line any
		err := json.Unmarshal(s.Bytes(), &line)
		if err == nil {
			err = media.Schema.Value.VisitJSON(line, openapi3.EnableJSONSchema2020())
		}
		if err != nil {
			d.t.Errorf("a line of the answer to %s: %v\n%s", name, err, s.Text())
		}
	}
}

// recorded keeps a copy of an answer.
type recorded struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (r *recorded) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorded) Write(p []byte) (int, error) {
	r.body.Write(p)
	return r.ResponseWriter.Write(p)
}

func (r *recorded) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// TestDescriptionIsCompared: the comparison itself is no rubber stamp.
func TestDescriptionIsCompared(t *testing.T) {
	for name, answer := range map[string]string{
		"an unknown field": `{"ok": true, "checks": [], "mood": "fine"}`,
		"a missing field":  `{"checks": []}`,
		"a wrong type":     `{"ok": "yes", "checks": []}`,
		"no JSON":          `ok`,
	} {
		strict := &counting{TB: t}
		h := described(strict, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, answer)
		}))
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/healthz", http.NoBody))
		if strict.errors != 1 {
			t.Errorf("%s: %d complaints", name, strict.errors)
		}
	}
}

// counting counts complaints in place of failing.
type counting struct {
	testing.TB
	errors int
}

func (c *counting) Errorf(string, ...any) { c.errors++ }
