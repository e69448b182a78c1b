package site

// BMCOf is how the node's BMC is reached: its own entry over the defaults of
// the site. A password is one from one place: the node's own, or the site's.
func (s *Settings) BMCOf(n *Node) BMC {
	b := n.BMC
	if b.Protocol == "" {
		b.Protocol = s.BMC.Protocol
	}
	if b.Username == "" {
		b.Username = s.BMC.Username
	}
	if b.Password == (SecretRef{}) {
		b.Password = s.BMC.Password
	}
	return b
}

// BMCKnown is what earlier conversations found out about a node's BMC.
type BMCKnown struct {
	Protocol     string `json:"protocol,omitempty"`
	CipherSuite  int    `json:"cipher_suite,omitempty"` // IPMI 2.0 table 22-20; zero means not known
	Certificate  string `json:"certificate,omitempty"`  // SHA-256 of the TLS leaf, hex
	Manufacturer string `json:"manufacturer,omitempty"`
	Model        string `json:"model,omitempty"`
	Firmware     string `json:"firmware,omitempty"` // of the BMC
}
