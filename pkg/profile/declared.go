package profile

// Declared gives the parameters that roles of a profile may set, and the
// profiles that it consists of, from the base on.
func (r *Resolver) Declared(name string) (names []string, parameters map[string]Declaration, err error) {
	l, ok := r.chains[name]
	if !ok || l.err != nil {
		return nil, nil, l.err
	}
	return l.chain.names(), l.chain.parameters, nil
}
