package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/planfile"
	"github.com/rackseed/rackseed/pkg/planfile/sheet"
	"github.com/rackseed/rackseed/pkg/site"
)

func newPlanExportCommand(g *globals) *cobra.Command {
	var plan, out, lang string
	c := &cobra.Command{
		Use: "export", Short: "Write the machines of the plan as an asset sheet (.xlsx or .csv), or the plan itself (.yaml)", Args: cobra.NoArgs,
		Long: `Write the machines of the plan as an asset sheet (.xlsx or .csv). Importing it again
changes nothing. BMC passwords are not in it.

With a name that ends in .yaml it writes the plan file with the nodes that were adopted behind its own;
comments stay. Applied, it takes the adopted nodes over.`,
		Example: "  rackseed plan export --plan site.yaml -o site-with-adopted.yaml\n  rackseed plan export --plan site.yaml -o servers.xlsx\n  rackseed plan export --plan site.yaml -o servers.csv --lang en",
		RunE: func(c *cobra.Command, _ []string) error {
			if out == "" {
				return usageError("say where to write: -o servers.xlsx, -o servers.csv or -o site.yaml")
			}
			data, err := readPlanFile(plan)
			if err != nil {
				return err
			}
			doc, err := planfile.Parse(plan, data)
			if err != nil {
				return usageError("the plan cannot be read:\n%w", err)
			}
			if ending := strings.ToLower(filepath.Ext(out)); ending == ".yaml" || ending == ".yml" {
				return exportAdopted(c, g, doc, out)
			}
			if lang != string(sheet.Chinese) && lang != string(sheet.English) {
				return usageError("--lang %s: use zh or en", lang)
			}
			rows := sheet.Sheet(doc.Plan, sheet.Lang(lang))
			text, err := encodeSheet(out, rows)
			if err != nil {
				return err
			}
			if err := replaceFile(out, text, 0o644); err != nil {
				return fmt.Errorf("writing the sheet: %w", err)
			}
			if g.json {
				return printJSON(c, map[string]any{"file": out, "nodes": len(rows) - 1, "columns": rows[0]})
			}
			fmt.Fprintf(c.OutOrStdout(), "%s: %d machines\n", out, len(rows)-1)
			return nil
		},
	}
	c.Flags().StringVar(&plan, "plan", "site.yaml", "plan to read")
	c.Flags().StringVarP(&out, "output", "o", "", "`FILE` to write; its ending says whether .xlsx, .csv or .yaml")
	c.Flags().StringVar(&lang, "lang", string(sheet.Chinese), "language of the headings: zh or en")
	return c
}

func encodeSheet(name string, rows [][]string) ([]byte, error) {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".xlsx":
		return sheet.XLSX("machines", rows)
	case ".csv":
		return sheet.CSV(rows)
	default:
		return nil, usageError("-o %s: the name must end in .xlsx, .csv or .yaml", name)
	}
}

// exportAdopted writes a plan file with the adopted nodes that it does not
// have yet.
func exportAdopted(c *cobra.Command, g *globals, doc *planfile.Document, out string) error {
	return withClient(c.Context(), g, func(cl *client.Client) error {
		adopted, err := cl.AdoptedNodes(c.Context())
		if err != nil {
			return err
		}
		nodes, added := slices.Clone(doc.Plan.Nodes), []string{}
		for _, n := range adopted.Nodes {
			n.Adopted = false
			if !slices.ContainsFunc(nodes, func(have site.Node) bool { return have.Name == n.Name || have.Claims(&n) }) {
				nodes, added = append(nodes, n), append(added, n.Name)
			}
		}
		text, _, err := doc.Edit(nodes)
		if err != nil {
			return err
		}
		if err := replaceFile(out, text, 0o644); err != nil {
			return fmt.Errorf("writing the plan: %w", err)
		}
		if g.json {
			return printJSON(c, map[string]any{"file": out, "nodes": len(nodes), "added": added})
		}
		fmt.Fprintf(c.OutOrStdout(), "%s: %d nodes, of which %d were adopted\n", out, len(nodes), len(added))
		return nil
	})
}
