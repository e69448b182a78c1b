package view

// DoctorRequest asks what this machine and the wire look like.
type DoctorRequest struct {
	Interface string `json:"interface,omitempty"` // that is going to be served
	// Search sends three DHCP DISCOVERs and listens for 12 seconds; it takes
	// no lease.
	Search bool `json:"search,omitempty"`
}

// Doctor is what was looked at.
type Doctor struct {
	Findings []DoctorFinding `json:"findings"`
}

// DoctorFinding is one thing that was looked at.
type DoctorFinding struct {
	ID     string `json:"id"`
	Status string `json:"status"` // ok, warn or fail: with a fail, serving would not work or would do harm
	What   string `json:"what"`
	Why    string `json:"why,omitempty"`
	Fix    string `json:"fix,omitempty"`
}

// Link is a network interface of the daemon's machine.
type Link struct {
	Name      string   `json:"name"`
	Addresses []string `json:"addresses,omitempty"` // with prefix lengths
	Up        bool     `json:"up"`                  // it has a link
}

// WireRequest chooses the interface that a waiting daemon is to serve.
type WireRequest struct {
	Interface string `json:"interface"`
}
