package view

import "time"

// Session is who asks: on this machine everybody is an operator, without a
// name.
type Session struct {
	Name    string    `json:"name,omitempty"`
	Role    string    `json:"role"` // viewer or operator
	Expires time.Time `json:"expires,omitzero"`
}
