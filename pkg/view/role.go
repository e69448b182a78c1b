package view

// Role is a role of the plan in force, with the parameters of its profile.
type Role struct {
	Name       string          `json:"name"`
	Profile    string          `json:"profile"`
	Chain      []string        `json:"chain,omitempty"` // the profiles that it consists of, from the base on
	Image      string          `json:"image,omitempty"`
	Nodes      int             `json:"nodes"`
	Set        map[string]any  `json:"set,omitempty"` // parameters that the role sets
	Parameters []RoleParameter `json:"parameters,omitempty"`
	Problem    string          `json:"problem,omitempty"` // why the profile cannot be read
}

// RoleParameter is a parameter that a role may set.
type RoleParameter struct {
	Name    string   `json:"name"`
	Type    string   `json:"type"`              // integer, number, boolean, string, size or list
	Default string   `json:"default,omitempty"` // as the profile writes it; empty means unset, or computed
	Minimum *float64 `json:"minimum,omitempty"` // bytes for a size
	Maximum *float64 `json:"maximum,omitempty"` // bytes for a size
	Values  []string `json:"values,omitempty"`  // that are allowed; empty means any
	Summary string   `json:"summary"`
	Why     string   `json:"why,omitempty"`
	Source  string   `json:"source,omitempty"`
}

// RoleRequest asks for the text of the plan in force with parameters of a
// role changed, or with a new role.
type RoleRequest struct {
	Role string         `json:"role"`
	From string         `json:"from,omitempty"` // the role that a new one begins as
	Set  map[string]any `json:"set"`            // null leaves a parameter to the profile again
}

// RoleResult is that text. Nothing is put in force.
type RoleResult struct {
	Text  string   `json:"text"`
	Notes []string `json:"notes,omitempty"` // what could not stay as it was written
}
