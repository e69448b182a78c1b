package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/bootplan"
	"github.com/rackseed/rackseed/pkg/lint"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/profiles"
)

// library lists the media that are known, by name.
func library(s *site.State) []site.Image {
	var all []site.Image
	for _, i := range s.Images.All() {
		all = append(all, i)
	}
	slices.SortFunc(all, func(a, b site.Image) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// vet refuses to arm machines that could not be installed: whose plan has an
// error, now that the media and the address of this server are known, or
// whose answer file cannot be written.
func vet(c *bootplan.Composer, server netip.Addr, s *site.State, machines []*site.Machine) error {
	var used []site.Image
	for _, i := range library(s) {
		if slices.ContainsFunc(machines, func(m *site.Machine) bool { return s.Settings.ImageOf(m.Node) == i.Name }) {
			used = append(used, i)
		}
	}
	var wrong []site.Finding
	for _, f := range (lint.Checker{Profiles: profiles.Files, Images: used, Server: server}).Check(s.Plan()) {
		if f.Severity == site.SeverityError {
			wrong = append(wrong, f)
		}
	}
	if len(wrong) > 0 {
		f, more := wrong[0], ""
		if len(wrong) > 1 {
			more = fmt.Sprintf("; and %d more errors", len(wrong)-1)
		}
		return fmt.Errorf("the plan has an error: %s: %s [%s, at %s]%s", f.Message, f.Fix, f.ID, f.Path, more)
	}
	for _, m := range machines {
		image, _ := s.Images.Get(s.Settings.ImageOf(m.Node))
		var mac site.MAC
		if len(m.Node.MACs) > 0 {
			mac = m.Node.MACs[0]
		}
		// Any server and token do: only whether it can be written counts.
		if _, err := c.Answers(s, m.Node, image, m.Attempt.Number+1, mac, "http://192.0.2.1:8080", tokenMask); err != nil {
			return fmt.Errorf("%s could not be installed: %w", m.Node.Name, err)
		}
	}
	return nil
}
