package planfile

import (
	"github.com/goccy/go-yaml/ast"

	"github.com/rackseed/rackseed/pkg/site"
)

func (d *decoder) discovery(n ast.Node) site.Discovery {
	var v site.Discovery
	d.object(n, "discovery", []field{
		{"strangers", func(n ast.Node) { v.Strangers = d.boolean(n, "strangers") }},
		{"image", d.into(&v.Image, "image")},
		{"wiring", func(n ast.Node) { v.Wiring = site.Wiring(d.text(n, "wiring")) }},
		{"rules", func(n ast.Node) {
			for _, item := range items(n) {
				v.Rules = append(v.Rules, d.rule(item))
			}
		}},
	})
	return v
}

func (d *decoder) rule(n ast.Node) site.DiscoveryRule {
	var r site.DiscoveryRule
	d.object(n, "a rule", []field{
		{"rule", d.into(&r.Title, "rule")},
		{"match", func(n ast.Node) { r.Match = d.ruleMatch(n) }},
		{"name", d.into(&r.Name, "name")},
		{"role", d.into(&r.Role, "role")},
		{"rack", d.into(&r.Rack, "rack")},
	})
	return r
}

func (d *decoder) ruleMatch(n ast.Node) site.DiscoveryMatch {
	var m site.DiscoveryMatch
	d.object(n, "match", []field{
		{"switch", d.into(&m.Switch, "switch")},
		{"port", d.into(&m.Port, "port")},
		{"serial", func(n ast.Node) { m.Serial = d.texts(n, "a serial number") }},
		{"model", d.into(&m.Model, "model")},
		{"disks", func(n ast.Node) { m.Disks = d.number(n, "the count of disks", "12") }},
	})
	return m
}
