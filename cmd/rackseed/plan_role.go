package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/view"
)

// planRole is what a change of a role was asked with.
type planRole struct {
	plan, from string
	set, unset []string
	write      bool
}

func newPlanRoleCommand(g *globals) *cobra.Command {
	var o planRole
	c := &cobra.Command{
		Use: "role ROLE", Short: "Change what a role of a plan sets, or add a role that begins as another", Args: cobra.ExactArgs(1),
		Long: `Change parameters of a role in the text of a plan, or add a role that begins as a copy of another. Only
the lines in question change; comments stay. Without --write it shows those lines. What a
role can set, ` + "`rackseed explain NODE --profile`" + ` and the page under Plan, Roles say.`,
		Example: `  rackseed plan role compute --set hugepages_1g=200 --unset ksm
  rackseed plan role compute-nfv --from compute --set nfv=true --plan site.yaml --write`,
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, g, args[0]) },
	}
	f := c.Flags()
	f.StringVar(&o.plan, "plan", "site.yaml", "plan to read")
	f.StringVar(&o.from, "from", "", "add ROLE as a copy of this `ROLE`")
	f.StringArrayVar(&o.set, "set", nil, "parameter and its value, `KEY=VALUE`")
	f.StringArrayVar(&o.unset, "unset", nil, "`KEY` of a parameter that is left to the profile again")
	f.BoolVar(&o.write, "write", false, "write the plan (the old one is kept as FILE.bak)")
	return c
}

func (o *planRole) run(c *cobra.Command, g *globals, role string) error {
	set, err := o.values()
	if err != nil {
		return err
	}
	if len(set) == 0 && o.from == "" {
		return usageError("say what to change: --set KEY=VALUE, --unset KEY or --from ROLE")
	}
	data, err := readPlanFile(o.plan)
	if err != nil {
		return err
	}
	result, err := editRole(string(data), view.RoleRequest{Role: role, From: o.from, Set: set})
	if err != nil {
		return usageError("%s: %w", o.plan, err)
	}
	if o.write {
		if err := o.save(result.Text); err != nil {
			return err
		}
	}
	if g.json {
		return printJSON(c, result)
	}
	for _, n := range result.Notes {
		fmt.Fprintln(c.ErrOrStderr(), n)
	}
	printChangedLines(c.OutOrStdout(), string(data), result.Text)
	if !o.write {
		fmt.Fprintln(c.ErrOrStderr(), "nothing was written: add --write")
	}
	return nil
}

// values are the parameters as YAML would read them; nil is one that is left
// to the profile.
func (o *planRole) values() (map[string]any, error) {
	set := map[string]any{}
	for _, pair := range o.set {
		key, text, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, usageError("--set %s: write KEY=VALUE, such as --set ksm=false", pair)
		}
		var value any
		if err := yaml.Unmarshal([]byte(text), &value); err != nil || value == nil {
			return nil, usageError("--set %s: %q is no value; --unset %s leaves it to the profile", pair, text, key)
		}
		set[key] = value
	}
	for _, key := range o.unset {
		set[key] = nil
	}
	return set, nil
}

func (o *planRole) save(text string) error {
	info, err := os.Stat(o.plan)
	if err != nil {
		return fmt.Errorf("looking at the plan: %w", err)
	}
	if _, err := backUp(o.plan, info.Mode().Perm()); err != nil {
		return fmt.Errorf("backing up the plan: %w", err)
	}
	if err := replaceFile(o.plan, []byte(text), info.Mode().Perm()); err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	return nil
}

// printChangedLines shows the stretch of lines in which two texts differ.
func printChangedLines(w io.Writer, before, after string) {
	a, b := strings.Split(before, "\n"), strings.Split(after, "\n")
	front, back := 0, 0
	for front < min(len(a), len(b)) && a[front] == b[front] {
		front++
	}
	for back < min(len(a), len(b))-front && a[len(a)-1-back] == b[len(b)-1-back] {
		back++
	}
	for _, line := range a[front : len(a)-back] {
		fmt.Fprintf(w, "%6d - %s\n", front+1, strings.TrimRight(line, "\r"))
	}
	for _, line := range b[front : len(b)-back] {
		fmt.Fprintf(w, "%6d + %s\n", front+1, strings.TrimRight(line, "\r"))
	}
}
