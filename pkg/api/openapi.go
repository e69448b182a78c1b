package api

import (
	_ "embed"
	"net/http"
)

// openAPI describes the operator side. Its schemas follow from the Go types:
// go test ./pkg/api -run OpenAPI -update writes them; the rest of it is
// written by hand, and tests compare it with what the server does.
//
//go:embed openapi.json
var openAPI []byte

func (h *Operator) openapi(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(openAPI) // the client went away; nothing follows from it
}
