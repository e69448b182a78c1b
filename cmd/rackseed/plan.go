package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/lint"
	"github.com/rackseed/rackseed/pkg/planfile"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
	"github.com/rackseed/rackseed/profiles"
)

func newPlanCommand(g *globals) *cobra.Command {
	c := &cobra.Command{Use: "plan", Short: "Check the site plan and put it in force", Example: "  rackseed plan check site.yaml"}
	check := &cobra.Command{
		Use: "check FILE", Short: "Say what is wrong with a plan, and where", Args: cobra.ExactArgs(1),
		Example: "  rackseed plan check site.yaml\n  rackseed plan check site.yaml --json",
		RunE: func(c *cobra.Command, args []string) error {
			data, err := os.ReadFile(args[0])
			if err != nil {
				return usageError("reading the plan: %w", err)
			}
			result, text := checkPlan(args[0], data)
			return reportPlan(c, g, result, text)
		},
	}
	apply := &cobra.Command{
		Use: "apply FILE", Short: "Check a plan and put it in force", Args: cobra.ExactArgs(1),
		Example: "  rackseed plan apply site.yaml",
		RunE:    func(c *cobra.Command, args []string) error { return applyPlan(c, g, args[0], false) },
	}
	diff := &cobra.Command{
		Use: "diff FILE", Short: "Say what applying a plan would change", Args: cobra.ExactArgs(1),
		Example: "  rackseed plan diff site.yaml",
		RunE:    func(c *cobra.Command, args []string) error { return applyPlan(c, g, args[0], true) },
	}
	c.AddCommand(check, apply, diff, newPlanImportCommand(g), newPlanExportCommand(g))
	return c
}

func applyPlan(c *cobra.Command, g *globals, name string, dryRun bool) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return usageError("reading the plan: %w", err)
	}
	// Checked here first: the messages quote the file.
	if result, text := checkPlan(name, data); hasErrors(result.Findings) {
		return reportPlan(c, g, result, text)
	}
	return withClient(c.Context(), g, func(cl *client.Client) error {
		profiles, err := siteProfiles(name)
		if err != nil {
			return err
		}
		if profiles == nil {
			profiles = map[string]string{} // none, and not those in force
		}
		result, err := cl.Plan(c.Context(), name, view.PlanRequest{Plan: string(data), Profiles: profiles}, operatorName(), dryRun)
		if err != nil {
			return err
		}
		return reportPlan(c, g, result, nil)
	})
}

// siteProfiles are the profiles that a site put into profiles/ beside its
// plan, by name.
func siteProfiles(plan string) (map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(filepath.Dir(plan), "profiles", "*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("looking for profiles beside the plan: %w", err)
	}
	var texts map[string]string
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return nil, usageError("reading a profile of the site: %w", err)
		}
		if texts == nil {
			texts = map[string]string{}
		}
		texts[strings.TrimSuffix(filepath.Base(f), ".yaml")] = string(data)
	}
	return texts, nil
}

// checkPlan reads a plan and gives its findings as data and as text with the
// offending lines. The profiles beside the file belong to it.
func checkPlan(name string, data []byte) (view.PlanResult, []string) {
	own, err := siteProfiles(name)
	if err != nil {
		return unreadable(err), []string{err.Error()}
	}
	_, result, text := checkText(offlineChecker(), name, data, own)
	return result, text
}

// checkText checks a plan with the profiles that its site brings. Without a
// daemon the checker knows no media and no server. A plan that does not parse
// is nil.
func checkText(checker lint.Checker, name string, data []byte, own map[string]string) (*planfile.Document, view.PlanResult, []string) {
	doc, err := planfile.Parse(name, data)
	if err != nil {
		var many planfile.Errors
		if !errors.As(err, &many) {
			return nil, unreadable(err), []string{err.Error()}
		}
		return nil, view.PlanResult{Findings: viewFindings(many.Findings())}, []string{err.Error()}
	}
	doc.Plan.Profiles = own
	findings := doc.Locate(checker.Check(doc.Plan))
	text := make([]string, 0, len(findings))
	for _, f := range findings {
		text = append(text, doc.Render(f))
	}
	return doc, view.PlanResult{Nodes: len(doc.Plan.Nodes), Findings: viewFindings(findings)}, text
}

func unreadable(err error) view.PlanResult {
	return view.PlanResult{Findings: []view.Finding{{ID: "unreadable", Severity: string(site.SeverityError), Message: err.Error()}}}
}

// offlineChecker checks by the plan alone.
func offlineChecker() lint.Checker { return lint.Checker{Profiles: profiles.Files} }

// readPlan is checkPlan for the daemon, which is sent the profiles: the file
// may be on another machine.
func readPlan(checker lint.Checker, name string, data []byte, own map[string]string) (*site.Plan, string, []view.Finding) {
	doc, result, _ := checkText(checker, name, data, own)
	if doc == nil {
		return nil, "", result.Findings
	}
	return doc.Plan, doc.Digest, result.Findings
}

func viewFindings(found []planfile.Finding) []view.Finding {
	list := make([]view.Finding, 0, len(found))
	for _, f := range found {
		list = append(list, view.Finding{ID: f.ID, Severity: string(f.Severity), Line: f.Line, Column: f.Column, Message: f.Message, Fix: f.Fix})
	}
	return list
}

func hasErrors(findings []view.Finding) bool {
	for _, f := range findings {
		if f.Severity == string(site.SeverityError) {
			return true
		}
	}
	return false
}

// reportPlan prints what came of a plan, and fails if it does not check.
func reportPlan(c *cobra.Command, g *globals, r view.PlanResult, text []string) error {
	bad := hasErrors(r.Findings)
	switch {
	case g.json:
		if err := printJSON(c, r); err != nil {
			return err
		}
	case text == nil:
		printPlan(c.OutOrStdout(), r)
	default:
		for _, t := range text {
			fmt.Fprintln(c.ErrOrStderr(), t)
		}
		if !bad {
			printPlan(c.OutOrStdout(), r)
		}
	}
	if bad {
		return &exitError{exitUsage, fmt.Errorf("the plan is not usable: %d findings", len(r.Findings))}
	}
	return nil
}

func printPlan(w io.Writer, r view.PlanResult) {
	for _, change := range r.Changes[:min(len(r.Changes), 20)] {
		fmt.Fprintln(w, "  "+change)
	}
	if more := len(r.Changes) - 20; more > 0 {
		fmt.Fprintf(w, "  and %d more\n", more)
	}
	switch {
	case r.Applied && len(r.Changes) == 0:
		fmt.Fprintf(w, "%d nodes: nothing to change.\n", r.Nodes)
	case r.Applied:
		fmt.Fprintf(w, "%d nodes: %d changes are in force (event %d).\n", r.Nodes, len(r.Changes), r.Seq)
	case r.Changes != nil:
		fmt.Fprintf(w, "%d nodes: %d changes would be made.\n", r.Nodes, len(r.Changes))
		if r.Refused != "" {
			fmt.Fprintf(w, "Applied now, it would be refused: %s.\n", r.Refused)
		}
	default:
		fmt.Fprintf(w, "%d nodes, %d findings: the plan can be applied.\n", r.Nodes, len(r.Findings))
	}
}
