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

// Blocks judges whether UDP to a port is likely to be dropped: something
// drops it, or everything, on its way in, and nothing accepts it by name. It
// is a hint for people, not a simulation: it does not follow jumps.
func (r Ruleset) Blocks(port int) bool {
	input := map[[3]string]bool{}
	dropped := false
	for _, o := range r.Objects {
		if c := o.Chain; c != nil && c.Hook == "input" && (c.Family == "ip" || c.Family == "inet") {
			input[[3]string{c.Family, c.Table, c.Name}] = true
			dropped = dropped || c.Policy == "drop"
		}
	}
	for _, o := range r.Objects {
		if o.Rule == nil || o.Rule.Family != "ip" && o.Rule.Family != "inet" {
			continue
		}
		matches, other, verdict := judge(o.Rule.Expr, port)
		switch {
		case matches && verdict == "accept":
			return false
		case matches && verdict == "drop":
			dropped = true
		case !matches && !other && verdict == "drop" && input[[3]string{o.Rule.Family, o.Rule.Table, o.Rule.Chain}]:
			dropped = true
		}
	}
	return dropped
}

// judge reads one rule: whether it names the UDP port, whether it has other
// conditions, and what it does.
func judge(expr []map[string]json.RawMessage, port int) (matches, other bool, verdict string) {
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

func namesPort(raw json.RawMessage, port int) bool {
	var m struct {
		Op   string
		Left struct {
			Payload struct{ Protocol, Field string }
		}
		Right json.RawMessage
	}
	if json.Unmarshal(raw, &m) != nil || m.Left.Payload.Field != "dport" || m.Left.Payload.Protocol != "udp" && m.Left.Payload.Protocol != "th" {
		return false
	}
	return (m.Op == "==" || m.Op == "in") && covers(m.Right, port)
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
