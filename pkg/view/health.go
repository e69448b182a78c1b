package view

// Health is whether a daemon does what it should, and if not, why.
type Health struct {
	OK     bool          `json:"ok"`
	Checks []HealthCheck `json:"checks"`
}

// HealthCheck is one thing that was looked at.
type HealthCheck struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	What string `json:"what"`          // in words
	Fix  string `json:"fix,omitempty"` // the next step, if it is not well
}

// Add notes one check.
func (h *Health) Add(c HealthCheck) {
	h.OK = c.OK && (h.OK || len(h.Checks) == 0)
	h.Checks = append(h.Checks, c)
}
