package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/planfile"
	"github.com/rackseed/rackseed/pkg/planfile/sheet"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// planImport is `plan import`.
type planImport struct {
	plan, sheet, passwords string
	columns, networks      []string
	roles, names, replace  []string
	numbersAsText, skip    bool
	write                  bool
	doc                    *planfile.Document // nil for a new plan
	table                  *sheet.Table
	merge                  *sheet.Merge
	text                   []byte
	passwordFiles          map[string]site.Secret
	unusable               bool // the plan would have an error about a machine
}

func newPlanImportCommand(g *globals) *cobra.Command {
	o := &planImport{}
	c := &cobra.Command{
		Use: "import SHEET", Short: "Take machines from an asset sheet (.xlsx or .csv) into the plan", Args: cobra.ExactArgs(1),
		Long: `Take machines from an asset sheet (.xlsx or .csv, UTF-8 or GBK, Chinese or English
headings) into the plan. Without --write, only say what would change.

Nothing is guessed: a cell that can be read in two ways is named, with the flag that
decides, and its row is left out. docs/sheets.md lists the headings.`,
		Example: `  rackseed plan import servers.xlsx --plan site.yaml
  rackseed plan import servers.xlsx --plan site.yaml --write
  rackseed plan import 资产表.csv --plan site.yaml --column '业务IP=management' --role-map '计算节点=compute'
  rackseed plan import servers.xlsx --plan site.yaml --replace cs-computer-[0003-0005] --write`,
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, g, args[0]) },
	}
	f := c.Flags()
	f.StringVar(&o.plan, "plan", "", "plan to change; a new one if there is no such file")
	f.BoolVar(&o.write, "write", false, "write the plan (the old one is kept as FILE.bak)")
	f.StringVar(&o.sheet, "sheet", "", "sheet of the workbook, if several have a table")
	f.StringArrayVar(&o.columns, "column", nil, "what a column is, `HEADING=KEY` or =NETWORK or =ignore; @C for the heading names it by its letter")
	f.StringArrayVar(&o.networks, "network", nil, "network that the addresses of a column are on, `HEADING=NETWORK`")
	f.StringArrayVar(&o.roles, "role-map", nil, "role of the plan for a word of the sheet, `WORD=ROLE`")
	f.StringArrayVar(&o.names, "name", nil, "host names for rows without one, `ROLE=PATTERN` such as compute=cs-computer-[0001-0512], or cs-{role}-[01-99] for all")
	f.StringArrayVar(&o.replace, "replace", nil, "`NODE` that was replaced by other hardware; ranges as in cs-computer-[0003-0005]")
	f.BoolVar(&o.numbersAsText, "numbers-as-text", false, "take serial numbers that the sheet holds as numbers, as they stand")
	f.BoolVar(&o.skip, "skip-bad-rows", false, "write the other rows although some were not taken")
	f.StringVar(&o.passwords, "passwords-to", "", "`DIR` for the BMC passwords of the sheet, a file for each machine (mode 0600); the plan names the files")
	return c
}

func (o *planImport) run(c *cobra.Command, g *globals, name string) error {
	if o.write && o.plan == "" {
		return usageError("--write needs a plan to write to: give --plan site.yaml")
	}
	if err := o.read(name); err != nil {
		return err
	}
	result := o.result(name)
	err := o.build(&result)
	if err != nil {
		return err
	}
	bad := sheet.HasErrors(result.Findings)
	blocked := bad && !o.skip || o.unusable
	if o.write && !blocked && o.table.Heading > 0 {
		if result.Backup, err = o.save(); err != nil {
			return err
		}
		result.Written = true
	}
	if g.json {
		if err := printJSON(c, result); err != nil {
			return err
		}
	} else {
		o.print(c.OutOrStdout(), c.ErrOrStderr(), &result)
	}
	switch {
	case bad:
		return &exitError{exitUsage, fmt.Errorf("%s: findings in the way: %d%s", name, countErrors(result.Findings), nothingWritten(&result, o.write))}
	case blocked:
		return &exitError{exitUsage, fmt.Errorf("%s: the plan would not check%s", name, nothingWritten(&result, o.write))}
	}
	return nil
}

// importSheet is `plan import` for the daemon, which is sent the sheet and the
// plan, and writes nothing: the new plan is in the answer.
func importSheet(req view.SheetRequest) (view.SheetResult, error) {
	o := planImport{
		sheet: req.Table, columns: req.Columns, networks: req.Networks, roles: req.Roles, names: req.Names,
		replace: req.Replace, numbersAsText: req.NumbersAsText,
	}
	if strings.TrimSpace(req.Plan) != "" {
		var err error
		if o.doc, err = planfile.Parse("the plan", []byte(req.Plan)); err != nil {
			return view.SheetResult{}, usageError("the plan cannot be read:\n%w", err)
		}
	}
	if err := o.merged(req.Name, req.Sheet); err != nil {
		return view.SheetResult{}, err
	}
	result := o.result(req.Name)
	if err := o.build(&result); err != nil {
		return view.SheetResult{}, err
	}
	if !o.unusable {
		result.Text = string(o.text)
	}
	return result, nil
}

func nothingWritten(r *view.SheetResult, asked bool) string {
	if asked && !r.Written {
		return "; nothing was written"
	}
	return ""
}

func countErrors(findings []sheet.Finding) int {
	n := 0
	for _, f := range findings {
		if f.Severity == site.SeverityError {
			n++
		}
	}
	return n
}

func (o *planImport) read(name string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return usageError("reading the sheet: %w", err)
	}
	if err := o.readPlan(); err != nil {
		return err
	}
	return o.merged(name, data)
}

// merged reads a sheet and merges it into the plan.
func (o *planImport) merged(name string, data []byte) error {
	opts, err := o.options()
	if err != nil {
		return err
	}
	replaced, err := expandAll(o.replace)
	if err != nil {
		return usageError("--replace: %w", err)
	}
	if o.doc != nil {
		for n := range replaced {
			if !slices.ContainsFunc(o.doc.Plan.Nodes, func(p site.Node) bool { return p.Name == n }) {
				return usageError("--replace %s: the plan has no machine of that name", n)
			}
		}
	}
	grids, err := sheet.Grids(data)
	if err != nil {
		return usageError("%s: %w", name, err)
	}
	o.table = sheet.Read(grids, opts)
	o.passwordFiles = map[string]site.Secret{}
	merge := sheet.MergeOptions{Replace: func(n string) bool { return replaced[n] }}
	if o.passwords != "" {
		dir, err := filepath.Abs(o.passwords)
		if err != nil {
			return fmt.Errorf("finding %s: %w", o.passwords, err)
		}
		merge.PasswordFile = func(n string) string { return filepath.Join(dir, filepath.Base(n)) }
	}
	o.merge = sheet.MergeInto(opts.Plan, o.table, merge)
	if o.passwords != "" {
		for i := range o.table.Rows {
			if r := &o.table.Rows[i]; r.Password != "" {
				o.passwordFiles[merge.PasswordFile(r.Node.Name)] = r.Password
			}
		}
	}
	return nil
}

func (o *planImport) readPlan() error {
	if o.plan == "" {
		return nil
	}
	data, err := os.ReadFile(o.plan)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return usageError("reading the plan: %w", err)
	}
	if o.doc, err = planfile.Parse(o.plan, data); err != nil {
		return usageError("the plan cannot be read:\n%w", err)
	}
	return nil
}

func (o *planImport) options() (sheet.Options, error) {
	opts := sheet.Options{Sheet: o.sheet, NumbersAsText: o.numbersAsText}
	if o.doc != nil {
		opts.Plan = o.doc.Plan
	}
	var err1, err2, err3 error
	opts.Columns, err1 = assignments("--column", o.columns)
	opts.Networks, err2 = assignments("--network", o.networks)
	opts.Roles, err3 = assignments("--role-map", o.roles)
	if err := errors.Join(err1, err2, err3); err != nil {
		return opts, &exitError{exitUsage, err}
	}
	for _, text := range o.names {
		rule, err := sheet.ParseNamingRule(text)
		if err != nil {
			return opts, usageError("--name: %w", err)
		}
		opts.Names = append(opts.Names, rule)
	}
	return opts, nil
}

func assignments(flag string, list []string) (map[string]string, error) {
	out := map[string]string{}
	for _, text := range list {
		i := strings.LastIndexByte(text, '=')
		if i < 1 || i == len(text)-1 {
			return nil, fmt.Errorf("%s %q: write it like '业务IP=management'", flag, text)
		}
		out[strings.TrimSpace(text[:i])] = strings.TrimSpace(text[i+1:])
	}
	return out, nil
}

func expandAll(patterns []string) (map[string]bool, error) {
	out := map[string]bool{}
	for _, p := range patterns {
		names, err := site.Expand(p)
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			out[n] = true
		}
	}
	return out, nil
}

func (o *planImport) result(name string) view.SheetResult {
	return view.SheetResult{
		Sheet: name, Plan: o.plan, Heading: o.table.Heading, Columns: listed(o.table.Columns), Rows: len(o.table.Rows), Skipped: o.table.Skipped,
		Changes: listed(o.merge.Changes), Unchanged: o.merge.Unchanged, Missing: listed(o.merge.Missing),
		Findings: listed(slices.Concat(o.table.Findings, o.merge.Findings)), Check: []view.Finding{}, Rewritten: []string{},
	}
}

// listed is a list that JSON writes as one, even if it is empty.
func listed[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// build makes the text of the new plan, and finds what it has against it that
// the old one did not have.
func (o *planImport) build(r *view.SheetResult) error {
	if o.table.Heading == 0 {
		return nil
	}
	base, before := o.doc, map[view.Finding]bool{}
	name := o.plan
	if base == nil {
		if name == "" {
			name = "the new plan"
		}
		var err error
		if base, err = planfile.Parse(name, sheet.Starter(o.table)); err != nil {
			return fmt.Errorf("making a new plan: %w", err)
		}
	} else {
		for _, f := range viewFindings(base.Check()) {
			before[placeless(f)] = true
		}
	}
	text, notes, err := base.Edit(o.merge.Nodes)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	o.text = text
	r.Rewritten = append(r.Rewritten, notes...)
	doc, err := planfile.Parse(name, text)
	if err != nil {
		return fmt.Errorf("reading the new plan back: %w", err)
	}
	found := doc.Check()
	for i, f := range viewFindings(found) {
		if before[placeless(f)] {
			continue
		}
		r.Check = append(r.Check, f)
		// What the settings lack is not the sheet's to say.
		about := strings.HasPrefix(found[i].Path, "nodes") && found[i].Severity == site.SeverityError
		o.unusable = o.unusable || about && o.doc != nil
	}
	return nil
}

func placeless(f view.Finding) view.Finding {
	f.Line, f.Column = 0, 0
	return f
}

// save writes the plan and the password files, in the order in which nothing
// is lost: the passwords, the copy of the old plan, the plan.
func (o *planImport) save() (backup string, err error) {
	for _, path := range slices.Sorted(maps.Keys(o.passwordFiles)) {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return "", fmt.Errorf("making the directory for passwords: %w", err)
		}
		if err := replaceFile(path, []byte(o.passwordFiles[path].Reveal()), 0o600); err != nil {
			return "", fmt.Errorf("writing a password: %w", err)
		}
	}
	mode := fs.FileMode(0o644)
	if o.doc != nil {
		info, err := os.Stat(o.plan)
		if err != nil {
			return "", fmt.Errorf("looking at the plan: %w", err)
		}
		mode = info.Mode().Perm()
		if len(o.merge.Changes) == 0 {
			return "", nil
		}
		if backup, err = backUp(o.plan, mode); err != nil {
			return "", fmt.Errorf("backing up the plan: %w", err)
		}
	}
	if err := replaceFile(o.plan, o.text, mode); err != nil {
		return backup, fmt.Errorf("writing the plan: %w", err)
	}
	return backup, nil
}

// maxBackups is more imports than a site sees.
const maxBackups = 1000

// backUp copies a file to the first of FILE.bak, FILE.bak.1 and so on that
// there is not.
func backUp(name string, mode fs.FileMode) (string, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	backup := name + ".bak"
	for i := 1; i < maxBackups; i++ {
		f, err := os.OpenFile(backup, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if errors.Is(err, fs.ErrExist) {
			backup = fmt.Sprintf("%s.bak.%d", name, i)
			continue
		}
		if err != nil {
			return "", err
		}
		_, err = f.Write(data)
		return backup, errors.Join(err, f.Close())
	}
	return "", fmt.Errorf("there are %d backups of %s: remove some", maxBackups, name)
}

// replaceFile writes beside the file and renames, so that a reader sees the
// old or the new.
func replaceFile(name string, data []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".rackseed-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

func (o *planImport) print(w, errOut io.Writer, r *view.SheetResult) {
	for _, f := range r.Findings {
		fmt.Fprintf(errOut, "%s: %s\n", r.Sheet, f)
	}
	o.printCheck(errOut, r)
	if r.Heading == 0 {
		return
	}
	o.printColumns(w, r)
	count := map[string]int{}
	for _, c := range r.Changes {
		count[c.Kind]++
		printChange(w, c)
	}
	for _, note := range r.Rewritten {
		fmt.Fprintln(w, note)
	}
	fmt.Fprintf(w, "%d rows: %d machines new, %d changed, %d replaced, %d as they are; %d of the plan are not in the sheet and stay.\n",
		r.Rows, count[sheet.Added], count[sheet.Changed], count[sheet.Replaced], r.Unchanged, len(r.Missing))
	switch {
	case r.Written && r.Backup != "":
		fmt.Fprintf(w, "%s is written; the old one is %s. Next: rackseed plan check %s\n", o.plan, r.Backup, o.plan)
	case r.Written && o.doc != nil:
		fmt.Fprintf(w, "%s needs no change.\n", o.plan)
	case r.Written:
		fmt.Fprintf(w, "%s is a new plan. Work through what says TODO, then: rackseed plan check %s\n", o.plan, o.plan)
	case !o.write && o.plan == "":
		fmt.Fprintln(w, "Nothing was written: give --plan site.yaml, and --write.")
	case !o.write:
		fmt.Fprintln(w, "Nothing was written: give --write to do it.")
	}
}

// maxCheck is how many findings of the plan are shown; plan check shows all.
const maxCheck = 20

func (o *planImport) printCheck(w io.Writer, r *view.SheetResult) {
	if o.doc == nil {
		return // what a new plan lacks is marked in it
	}
	for _, f := range r.Check[:min(len(r.Check), maxCheck)] {
		fmt.Fprintf(w, "with the sheet in it, the plan has %s: %s: %s [%s]\n", f.Severity, f.Message, f.Fix, f.ID)
	}
	if more := len(r.Check) - maxCheck; more > 0 {
		fmt.Fprintf(w, "and %d more\n", more)
	}
}

func (o *planImport) printColumns(w io.Writer, r *view.SheetResult) {
	fmt.Fprintf(w, "headings in row %d:", r.Heading)
	for _, c := range r.Columns {
		what := string(c.Key)
		switch {
		case c.Key == sheet.KeyAddress && c.Network == "":
			what = "?"
		case c.Key == sheet.KeyAddress:
			what = "address on " + c.Network
		}
		fmt.Fprintf(w, " %s=%s;", c.Heading, orDash(what))
	}
	fmt.Fprintln(w)
}

func printChange(w io.Writer, c sheet.Change) {
	mark := map[string]string{sheet.Added: "+", sheet.Changed: "~", sheet.Replaced: "!"}[c.Kind]
	fmt.Fprintf(w, "%s %s (row %d)", mark, c.Node, c.Row)
	if c.Kind == sheet.Replaced {
		fmt.Fprint(w, " is other hardware")
	}
	for i, f := range c.Fields {
		sep := ":"
		if i > 0 {
			sep = ","
		}
		switch {
		case c.Kind == sheet.Added:
			fmt.Fprintf(w, "%s %s %s", sep, f.Field, f.New)
		default:
			fmt.Fprintf(w, "%s %s %s → %s", sep, f.Field, orDash(f.Old), orDash(f.New))
		}
	}
	fmt.Fprintln(w)
}
