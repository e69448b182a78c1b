package survey

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
)

// Ruleset is what `nft -j list ruleset` prints (libnftables-json(5)), as far
// as it is needed.
type Ruleset struct {
	Objects []struct {
		Chain *struct {
			Family, Table, Name string
			Hook, Policy        string
		} `json:"chain"`
		Rule *struct {
			Family, Table, Chain string
			Expr                 []map[string]json.RawMessage
		} `json:"rule"`
	} `json:"nftables"`
}

// readRuleset asks nft; ok is false where there is none or it may not look.
func readRuleset(ctx context.Context) (Ruleset, bool) {
	out, err := exec.CommandContext(ctx, "nft", "-j", "list", "ruleset").Output()
	if err != nil {
		return Ruleset{}, false
	}
	r, err := parseRuleset(out)
	return r, err == nil
}

func parseRuleset(out []byte) (Ruleset, error) {
	var r Ruleset
	if err := json.Unmarshal(out, &r); err != nil {
		return r, fmt.Errorf("reading the firewall's rules: %w", err)
	}
	return r, nil
}

// Chain is where rules of nft lie.
type Chain struct {
	Family, Table, Name string
}

func (c Chain) String() string { return c.Family + " " + c.Table + " " + c.Name }

// Blocks judges whether what machines send to a port is likely to be dropped:
// something drops it, or everything, on its way in, and nothing accepts it by
// name. The chain is the one that has to accept it. It is a hint for people,
// not a simulation: it does not follow jumps.
func (r Ruleset) Blocks(p Port) (at Chain, blocked bool) {
	bases := r.bases()
	drops := func(c Chain) {
		if !blocked {
			at, blocked = c, true
		}
	}
	for _, o := range r.Objects {
		if c := o.Chain; c != nil && c.Policy == "drop" && bases[Chain{c.Family, c.Table, c.Name}] {
			drops(Chain{c.Family, c.Table, c.Name})
		}
	}
	for _, o := range r.Objects {
		if o.Rule == nil || !ofIPv4(o.Rule.Family) {
			continue
		}
		chain := Chain{o.Rule.Family, o.Rule.Table, o.Rule.Chain}
		matches, other, verdict := judge(o.Rule.Expr, p)
		switch {
		case matches && verdict == "accept":
			return Chain{}, false
		case matches && verdict == "drop":
			drops(r.base(chain))
		case !matches && !other && verdict == "drop" && bases[chain]:
			drops(chain)
		}
	}
	return at, blocked
}

// bases are the chains that see what comes in.
func (r Ruleset) bases() map[Chain]bool {
	bases := map[Chain]bool{}
	for _, o := range r.Objects {
		c := o.Chain
		if c != nil && ofIPv4(c.Family) && (c.Hook == "input" || c.Hook == "prerouting" || c.Hook == "ingress") {
			bases[Chain{c.Family, c.Table, c.Name}] = true
		}
	}
	return bases
}

// base is the chain itself, or the input chain of its table: it is probably
// the one that jumps there.
func (r Ruleset) base(chain Chain) Chain {
	input := chain
	for _, o := range r.Objects {
		if c := o.Chain; c != nil && c.Hook != "" && c.Family == chain.Family && c.Table == chain.Table {
			if c.Name == chain.Name {
				return chain
			}
			if c.Hook == "input" {
				input = Chain{c.Family, c.Table, c.Name}
			}
		}
	}
	return input
}

func ofIPv4(family string) bool { return family == "ip" || family == "inet" || family == "netdev" }

// judge reads one rule: whether it names the port, whether it has other
// conditions, and what it does.
func judge(expr []map[string]json.RawMessage, port Port) (matches, other bool, verdict string) {
	for _, e := range expr {
		for kind, raw := range e {
			switch kind {
			case "accept":
				verdict = "accept"
			case "drop", "reject":
				verdict = "drop"
			case "match":
				if namesPort(raw, port) {
					matches = true
				} else {
					other = true
				}
			case "xt":
				other = true
			}
		}
	}
	return matches, other, verdict
}

func namesPort(raw json.RawMessage, port Port) bool {
	var m struct {
		Op   string
		Left struct {
			Payload struct{ Protocol, Field string }
		}
		Right json.RawMessage
	}
	if json.Unmarshal(raw, &m) != nil || m.Left.Payload.Field != "dport" || m.Left.Payload.Protocol != port.Proto && m.Left.Payload.Protocol != "th" {
		return false
	}
	return (m.Op == "==" || m.Op == "in") && covers(m.Right, port.Number)
}

// covers reads a number, a range or a set of them.
func covers(raw json.RawMessage, port int) bool {
	var n int
	if json.Unmarshal(raw, &n) == nil {
		return n == port
	}
	var v struct {
		Range []int
		Set   []json.RawMessage
	}
	if json.Unmarshal(raw, &v) != nil {
		return false
	}
	if len(v.Range) == 2 {
		return v.Range[0] <= port && port <= v.Range[1]
	}
	for _, item := range v.Set {
		if covers(item, port) {
			return true
		}
	}
	return false
}
