package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/rackseed/rackseed/pkg/planfile"
	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
	"github.com/rackseed/rackseed/profiles"
)

// rolesOf lists the roles of the plan in force, with the parameters of their
// profiles.
func rolesOf(s *site.State) []view.Role {
	nodes := map[string]int{}
	for _, m := range s.Machines() {
		nodes[m.Node.Role]++
	}
	resolver := profile.NewResolver(profiles.Files, &s.Settings, profile.NodesOf(nil))
	roles := []view.Role{}
	for _, name := range slices.Sorted(maps.Keys(s.Settings.Roles)) {
		role := s.Settings.Roles[name]
		v := view.Role{Name: name, Profile: role.Profile, Image: role.Image, Nodes: nodes[name], Set: role.Set}
		chain, parameters, err := resolver.Declared(role.Profile)
		if err != nil {
			v.Problem = err.Error()
		}
		v.Chain = chain
		for _, p := range slices.Sorted(maps.Keys(parameters)) {
			v.Parameters = append(v.Parameters, parameterOf(p, parameters[p]))
		}
		roles = append(roles, v)
	}
	return roles
}

func parameterOf(name string, d profile.Declaration) view.RoleParameter {
	return view.RoleParameter{
		Name: name, Type: string(d.Type), Default: written(d.Default), Minimum: d.Minimum, Maximum: d.Maximum,
		Values: d.Values, Summary: d.Summary, Why: d.Why, Source: d.Source,
	}
}

// written is a default as a plan would write it.
func written(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(text)
}

// editRole changes parameters of a role in the text of a plan, or adds one
// that begins as another.
func editRole(text string, req view.RoleRequest) (view.RoleResult, error) {
	doc, err := planfile.Parse("plan.yaml", []byte(text))
	if err != nil {
		return view.RoleResult{}, err
	}
	if req.From != "" {
		added, err := doc.AddRole(req.Role, req.From)
		if err != nil {
			return view.RoleResult{}, err
		}
		if doc, err = planfile.Parse("plan.yaml", added); err != nil {
			return view.RoleResult{}, err
		}
	}
	changed, notes, err := doc.SetParameters(req.Role, req.Set)
	if err != nil {
		return view.RoleResult{}, err
	}
	return view.RoleResult{Text: string(changed), Notes: notes}, nil
}
