package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

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
	c.AddCommand(
		onPlanFile("check", "Say what is wrong with a plan, and where",
			"  rackseed plan check site.yaml\n  rackseed plan check site.yaml --json | jq '.findings[] | select(.severity == \"error\")'",
			func(c *cobra.Command, file string) error {
				data, err := readPlanFile(file)
				if err != nil {
					return err
				}
				result, text := checkPlan(file, data)
				return reportPlan(c, g, result, text, false)
			}),
		onPlanFile("apply", "Check a plan and put it in force", "  rackseed plan apply site.yaml",
			func(c *cobra.Command, file string) error { return applyPlan(c, g, file, false) }),
		onPlanFile("diff", "Say what applying a plan would change", "  rackseed plan diff site.yaml",
			func(c *cobra.Command, file string) error { return applyPlan(c, g, file, true) }),
		newPlanImportCommand(g), newPlanExportCommand(g), newPlanRoleCommand(g))
	return c
}

// onPlanFile is a command about one plan file, which is named as an argument
// or, as with the commands that work without a daemon, by --plan.
func onPlanFile(verb, short, example string, run func(c *cobra.Command, file string) error) *cobra.Command {
	var plan string
	c := &cobra.Command{
		Use: verb + " FILE", Short: short, Example: example,
		Args: func(_ *cobra.Command, args []string) error {
			switch given := len(args); {
			case plan != "" && given > 0:
				return errors.New("give the plan once: FILE or --plan FILE")
			case plan == "" && given != 1:
				return fmt.Errorf("which plan? give one FILE, not %d", given)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return run(c, cmp.Or(plan, strings.Join(args, ""))) },
	}
	c.Flags().StringVar(&plan, "plan", "", "the plan `FILE`, in place of the argument")
	return c
}

// readPlanFile reads a plan, or says what to do about a file that is not
// there or not readable.
func readPlanFile(name string) ([]byte, error) {
	data, err := os.ReadFile(name)
	switch {
	case err == nil:
		return data, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, usageError("reading the plan: %w: name the file that you wrote, such as site.yaml; examples/ has plans to copy", err)
	case errors.Is(err, syscall.EISDIR):
		return nil, usageError("reading the plan: %s is a folder: name the file in it, such as %s", name, filepath.Join(name, "site.yaml"))
	case errors.Is(err, fs.ErrPermission):
		return nil, usageError("reading the plan: %w: `ls -l %s` shows who may read it", err, shellWord(name))
	default:
		return nil, usageError("reading the plan: %w", err)
	}
}

func applyPlan(c *cobra.Command, g *globals, name string, dryRun bool) error {
	data, err := readPlanFile(name)
	if err != nil {
		return err
	}
	// Checked here first: the messages quote the file.
	if result, text := checkPlan(name, data); hasErrors(result.Findings) {
		return reportPlan(c, g, result, text, true)
	}
	return withClient(c.Context(), g, func(cl *client.Client) error {
		profiles, err := siteProfiles(name)
		if err != nil {
			return err
		}
		if profiles == nil {
			profiles = map[string]string{} // none, and not those in force
		}
		before, err := cl.Nodes(c.Context(), "state=armed,state=booting,state=installing")
		if err != nil {
			before = nil // nobody is named then; the plan counts
		}
		result, err := cl.Plan(c.Context(), name, view.PlanRequest{Plan: string(data), Profiles: profiles}, operatorName(), dryRun)
		if err != nil {
			return err
		}
		if result.Applied {
			warnBusy(c.ErrOrStderr(), before, result.Changes)
		}
		return reportPlan(c, g, result, findingLines(name, result.Findings), true)
	})
}

// warnBusy names machines whose entries changed while they were armed or being
// installed: the one waits for a button that does nothing any more, the other
// may become half of each.
func warnBusy(w io.Writer, before []view.Node, changes []string) {
	for _, n := range before {
		switch {
		case !slices.Contains(changes, site.NodePlanned{}.Kind()+" "+n.Name):
		case n.State == site.PhaseArmed:
			fmt.Fprintf(w, "warning: %s was armed, and its entry changed: it is armed no more; `rackseed install %[1]s` arms it again\n", n.Name)
		default:
			fmt.Fprintf(w, "warning: %s is being installed, and its entry changed: what its installer fetched is of the old one, what it fetches from now on of the new one; to be sure, `rackseed disarm %[1]s` and install it again\n", n.Name)
		}
	}
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

// reportPlan prints what came of a plan, which may have been compared with
// the one in force, and fails if it does not check.
func reportPlan(c *cobra.Command, g *globals, r view.PlanResult, text []string, compared bool) error {
	bad := hasErrors(r.Findings)
	switch {
	case g.json:
		if err := printJSON(c, r); err != nil {
			return err
		}
	default:
		for _, t := range text {
			fmt.Fprintln(c.ErrOrStderr(), t)
		}
		if !bad {
			printPlan(c.OutOrStdout(), r, compared)
		}
	}
	if bad {
		return &exitError{exitUsage, fmt.Errorf("the plan is not usable: %s", counted(len(r.Findings), "finding"))}
	}
	return nil
}

// findingLines say what a daemon found in a plan: it knows the media, which
// the check here does not.
func findingLines(name string, findings []view.Finding) []string {
	lines := make([]string, 0, len(findings))
	for _, f := range findings {
		lines = append(lines, fmt.Sprintf("%s:%d:%d: %s: %s: %s [%s]", name, f.Line, f.Column, f.Severity, f.Message, f.Fix, f.ID))
	}
	return lines
}

func printPlan(w io.Writer, r view.PlanResult, compared bool) {
	for _, change := range r.Changes[:min(len(r.Changes), 20)] {
		fmt.Fprintln(w, "  "+change)
	}
	if more := len(r.Changes) - 20; more > 0 {
		fmt.Fprintf(w, "  and %d more\n", more)
	}
	switch {
	case r.Applied && len(r.Changes) == 0:
		fmt.Fprintf(w, "%s: nothing to change.\n", counted(r.Nodes, "node"))
	case r.Applied:
		fmt.Fprintf(w, "%s: %s put in force (event %d).\n", counted(r.Nodes, "node"), counted(len(r.Changes), "change"), r.Seq)
	case compared && len(r.Changes) == 0:
		fmt.Fprintf(w, "%s: nothing would change.\n", counted(r.Nodes, "node"))
	case compared:
		fmt.Fprintf(w, "%s: %s would be made.\n", counted(r.Nodes, "node"), counted(len(r.Changes), "change"))
		if r.Refused != "" {
			fmt.Fprintf(w, "Applied now, it would be refused: %s.\n", r.Refused)
		}
	default:
		fmt.Fprintf(w, "%s, %s: the plan can be applied.\n", counted(r.Nodes, "node"), counted(len(r.Findings), "finding"))
	}
}
