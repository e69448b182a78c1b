package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// profile says what a node must be, as its answer files are written from.
func (x *explainer) profile(s *site.State, who string) (view.Profile, error) {
	m, _, err := find(s, who)
	if err != nil {
		return view.Profile{}, err
	}
	if m == nil {
		return view.Profile{}, fmt.Errorf("the plan has no node %s", who)
	}
	intent, err := x.compose(false).Intent(s, m.Node)
	if err != nil {
		return view.Profile{}, err
	}
	p := view.Profile{Node: intent.Node, Role: intent.Role, Profile: intent.Profile, Chain: intent.Chain}
	for _, v := range intent.Values() {
		p.Values = append(p.Values, view.Value{Kind: v.Kind, Key: v.Key, Value: v.Value, From: v.From, Why: v.Why, Source: v.Source})
	}
	return p, nil
}

func explainProfile(c *cobra.Command, g *globals, who, plan string) error {
	if plan != "" {
		s, x, err := offline(plan)
		if err != nil {
			return err
		}
		p, err := x.profile(s, who)
		if err != nil {
			return usageError("%w", err)
		}
		return printProfile(c, g, p)
	}
	return withClient(c.Context(), g, func(cl *client.Client) error {
		p, err := cl.Profile(c.Context(), who)
		if err != nil {
			return err
		}
		return printProfile(c, g, p)
	})
}

func printProfile(c *cobra.Command, g *globals, p view.Profile) error {
	if g.json {
		return printJSON(c, p)
	}
	w := c.OutOrStdout()
	fmt.Fprintf(w, "%s: role %s, profile %s\n", p.Node, p.Role, strings.Join(p.Chain, " → "))
	kind := ""
	for _, v := range p.Values {
		if v.Kind != kind {
			kind = v.Kind
			fmt.Fprintf(w, "\n== %s\n", kind)
		}
		printValue(w, v)
	}
	return nil
}

func printValue(w io.Writer, v view.Value) {
	line := v.Value
	if v.Key != "" {
		line = v.Key + " = " + v.Value
	}
	fmt.Fprintf(w, "   %s\n      from: %s\n", line, v.From)
	if v.Why != "" {
		fmt.Fprintf(w, "      why: %s\n", v.Why)
	}
	if v.Source != "" {
		fmt.Fprintf(w, "      source: %s\n", v.Source)
	}
}
