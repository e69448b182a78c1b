// Package planfile reads the site plan as people write it, in YAML, and keeps
// the place of everything in it, so that whatever is wrong can be shown where
// it stands.
package planfile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/rackseed/rackseed/pkg/site"
)

// Document is a plan file that was understood.
type Document struct {
	Plan *site.Plan
	// Digest is the SHA-256, in hex, of what the plan says: the layout of the
	// file, its comments and the order of its nodes do not change it.
	Digest string

	src  *source
	root ast.Node
}

// Finding is a finding about a plan, with its place in the file.
type Finding struct {
	site.Finding
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
}

// Parse reads a plan file; name stands for it in messages. The error is
// Errors: everything that could be told to be wrong at once, each with its
// place. A plan that parses may still not make sense: see Check.
func Parse(name string, data []byte) (*Document, error) {
	src := newSource(name, data)
	root, err := parseYAML(src)
	if err != nil {
		return nil, err
	}
	d := &decoder{src: src}
	plan := d.plan(root)
	if len(d.errs) > 0 {
		return nil, d.errs.sorted()
	}
	digest, err := digestOf(plan)
	if err != nil {
		return nil, fmt.Errorf("%s: computing the digest: %w", name, err)
	}
	return &Document{Plan: plan, Digest: digest, src: src, root: root}, nil
}

// Check gives the findings of site.Check with their places.
func (d *Document) Check() []Finding { return d.Locate(d.Plan.Check()) }

// Locate gives findings about the plan their places.
func (d *Document) Locate(found []site.Finding) []Finding {
	out := make([]Finding, len(found))
	for i, f := range found {
		line, column := d.Position(f.Path)
		out[i] = Finding{Finding: f, Line: line, Column: column}
	}
	return out
}

// Render writes a finding for a terminal: place, message, fix, and the line
// of the file with a mark below it.
func (d *Document) Render(f Finding) string {
	head := fmt.Sprintf("%s:%d:%d: %s: %s", d.src.name, f.Line, f.Column, f.Severity, withFix(f.Message, f.Fix))
	return fmt.Sprintf("%s [%s]%s", head, f.ID, d.src.excerpt(f.Line, f.Column))
}

func withFix(message, fix string) string {
	if fix == "" {
		return message
	}
	return message + ": " + fix
}

// digestOf hashes the plan as JSON, in which maps have an order. A secret is
// replaced by its hash under the mark of a sealed value, because JSON takes no
// other; neither leaves this function.
func digestOf(p *site.Plan) (string, error) {
	hidden := *p
	hidden.Access.Root = hashed(p.Access.Root)
	hidden.Nodes = slices.Clone(p.Nodes)
	slices.SortStableFunc(hidden.Nodes, func(a, b site.Node) int { return strings.Compare(a.Name, b.Name) })
	h := sha256.New()
	if err := json.NewEncoder(h).Encode(&hidden); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func hashed(s site.Secret) site.Secret {
	if s == "" {
		return s
	}
	sum := sha256.Sum256([]byte(s.Reveal()))
	return site.Secret(site.SealedPrefix + hex.EncodeToString(sum[:]))
}
