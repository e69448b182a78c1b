package main

import (
	"regexp"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The arguments of a command stand in the list of processes and in a shell's
// history: a secret is given as a file, or asked for.
func TestNoFlagTakesASecret(t *testing.T) {
	secret := regexp.MustCompile(`pass(word|phrase)|secret|token|credential`)
	seen := 0
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for _, flags := range []*pflag.FlagSet{c.Flags(), c.PersistentFlags()} {
			flags.VisitAll(func(f *pflag.Flag) {
				if !secret.MatchString(f.Name) {
					return
				}
				seen++
				if name, _ := pflag.UnquoteUsage(f); name != "FILE" && name != "DIR" && f.Value.Type() != "bool" {
					t.Errorf("%s --%s takes a %s", c.CommandPath(), f.Name, name)
				}
			})
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRootCommand())
	if seen == 0 {
		t.Error("there is no such flag at all")
	}
}
