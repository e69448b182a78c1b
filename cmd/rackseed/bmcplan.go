package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/seal"
	"github.com/rackseed/rackseed/pkg/site"
)

// planTargets are the BMCs of the machines that a selector picks. A machine
// without one is an error: a batch must not shrink in silence.
func planTargets(s *site.State, selector string, reveal func(site.SecretRef) (site.Secret, error), given bool) ([]bmc.Target, error) {
	sel, err := site.ParseSelector(selector)
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	machines, err := s.Select(sel)
	if err == nil && len(machines) == 0 {
		err = fmt.Errorf("%q selects no node: `rackseed node list` shows what there is", selector)
	}
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	targets := make([]bmc.Target, 0, len(machines))
	for _, m := range machines {
		t, err := targetOf(s, m, reveal, given)
		if err != nil {
			return nil, &exitError{exitUsage, err}
		}
		targets = append(targets, t)
	}
	return targets, nil
}

func targetOf(s *site.State, m *site.Machine, reveal func(site.SecretRef) (site.Secret, error), given bool) (bmc.Target, error) {
	b := s.BMCOf(m)
	t := bmc.Target{Name: m.Node.Name, Rack: m.Node.Rack, Address: b.Address, Protocol: cmp.Or(bmc.Protocol(b.Protocol), bmc.Auto), Username: b.Username, Serial: m.Node.Serial}
	if !m.Node.UUID.IsZero() {
		t.UUID = m.Node.UUID.String()
	}
	if b.Address == "" {
		return t, fmt.Errorf("%s has no BMC in the plan: add bmc: {address: ADDRESS}", t.Name)
	}
	if given {
		return t, nil
	}
	var err error
	if t.Password, err = reveal(b.Password); err != nil {
		return t, fmt.Errorf("the BMC password of %s: %w", t.Name, err)
	}
	return t, nil
}

// passwords finds what a plan says of secrets.
type passwords struct {
	box *seal.Box
}

func (p passwords) reveal(ref site.SecretRef) (site.Secret, error) {
	switch {
	case ref.Env != "":
		value := os.Getenv(ref.Env)
		if value == "" {
			return "", fmt.Errorf("the environment has no %s: set it, or keep the password in a file with password: {file: FILE}", ref.Env)
		}
		return site.Secret(value), nil
	case ref.File != "":
		data, err := os.ReadFile(ref.File)
		if err != nil {
			return "", err
		}
		line, _, _ := strings.Cut(string(data), "\n")
		return site.Secret(strings.TrimSuffix(line, "\r")), nil
	case ref.Sealed != "":
		text, err := p.box.Open(ref.Sealed)
		return site.Secret(text), err
	default:
		return "", fmt.Errorf("the plan has none: add bmc: {password: {file: FILE}}, or give --password-file")
	}
}
