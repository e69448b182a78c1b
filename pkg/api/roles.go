package api

import (
	"net/http"

	"github.com/rackseed/rackseed/pkg/view"
)

// roles lists the roles of the plan in force, with what each may set.
func (h *Operator) roles(w http.ResponseWriter, _ *http.Request) {
	h.reply(w, h.Roles(h.Ledger.State()))
}

// editRole gives the text of the plan in force with parameters of a role
// changed, or with a new role. It changes nothing: the text is checked and put
// in force as any.
func (h *Operator) editRole(w http.ResponseWriter, r *http.Request) {
	var req view.RoleRequest
	if !h.decode(w, r, &req) {
		return
	}
	text, ok := h.textInForce(w, h.Ledger.State().PlanDigest)
	if !ok {
		return
	}
	result, err := h.EditRole(text, req)
	if err != nil {
		h.fail(w, codeUsage, err)
		return
	}
	h.reply(w, result)
}
