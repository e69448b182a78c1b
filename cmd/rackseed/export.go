package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/bootplan"
	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/export"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
	"github.com/rackseed/rackseed/profiles"
)

func newExportCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use: "export", Short: "Inventories for what comes after the installation",
		Example: "  rackseed export kolla --plan site.yaml -o kolla/",
	}
	for _, k := range []struct{ kind, short, example string }{
		{"kolla", "kolla-ansible inventory, globals.yml fragment and service overrides", "  rackseed export kolla -o kolla/\n  rackseed export kolla --plan site.yaml"},
		{"cephadm", "cephadm host, monitor and OSD specifications", "  rackseed export cephadm -o ceph/\n  rackseed export cephadm --plan site.yaml"},
		{"hosts", "/etc/hosts with every node", "  rackseed export hosts -o hosts\n  rackseed export hosts --plan site.yaml"},
		{"ansible", "Ansible inventory by role, profile and rack", "  rackseed export ansible -o inventory.yml\n  rackseed export ansible --plan site.yaml"},
	} {
		var plan, out string
		sub := &cobra.Command{
			Use: k.kind, Short: k.short, Example: k.example, Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				e, err := exportFrom(c, g, k.kind, plan)
				if err != nil {
					return err
				}
				for _, w := range e.Warnings {
					fmt.Fprintln(c.ErrOrStderr(), "warning:", w)
				}
				if out != "" {
					return saveExport(c, g, e, out)
				}
				if g.json {
					return printJSON(c, e)
				}
				return printExport(c.OutOrStdout(), e)
			},
		}
		sub.Flags().StringVar(&plan, "plan", "", "answer from this plan file alone")
		sub.Flags().StringVarP(&out, "output", "o", "", "write into this folder or, if there is one document, into this file")
		c.AddCommand(sub)
	}
	return c
}

func exportFrom(c *cobra.Command, g *globals, kind, plan string) (e view.Export, err error) {
	if plan == "" {
		err = withClient(c.Context(), g, func(cl *client.Client) error {
			e, err = cl.Export(c.Context(), kind)
			return err
		})
		return e, err
	}
	s, _, err := offline(plan)
	if err != nil {
		return e, err
	}
	if e, err = exportState(s, kind); err != nil {
		return e, usageError("%w", err)
	}
	return e, nil
}

// exportState writes inventories from a state.
func exportState(s *site.State, kind string) (view.Export, error) {
	e := &export.Site{Settings: &s.Settings}
	compose := bootplan.Composer{Profiles: profiles.Files}
	for _, m := range s.Machines() {
		intent, err := compose.Intent(s, m.Node)
		if err != nil {
			return view.Export{}, err
		}
		e.Nodes = append(e.Nodes, export.Node{Node: m.Node, Intent: intent, System: systemOf(s, m.Node)})
	}
	if len(e.Nodes) == 0 {
		return view.Export{}, errors.New("no node is planned: `rackseed plan apply FILE` first, or name a plan by --plan")
	}
	result, err := export.Write(kind, e)
	if err != nil {
		return view.Export{}, err
	}
	out := view.Export{Warnings: result.Warnings}
	for _, f := range result.Files {
		out.Files = append(out.Files, view.ExportFile{Name: f.Name, Text: f.Text})
	}
	return out, nil
}

// systemOf is what the node installs: as its medium says or, before that is
// in the library, as its name does.
func systemOf(s *site.State, n *site.Node) site.System {
	name := s.Settings.ImageOf(n)
	if i, ok := s.Images.Get(name); ok {
		return site.System{Distro: i.Distro, Version: i.Version, Arch: i.Arch}
	}
	return s.Settings.SystemOf(name)
}

// printExport separates several documents as render does.
func printExport(w io.Writer, e view.Export) error {
	for i, f := range e.Files {
		if len(e.Files) > 1 {
			if i > 0 {
				fmt.Fprintln(w)
			}
			fmt.Fprintf(w, "##### %s #####\n", f.Name)
		}
		if _, err := io.WriteString(w, f.Text); err != nil {
			return err
		}
	}
	return nil
}

// saveExport writes documents below a folder, or a single one into the file
// that was named.
func saveExport(c *cobra.Command, g *globals, e view.Export, out string) error {
	info, err := os.Stat(out)
	folder := len(e.Files) > 1 || strings.HasSuffix(out, string(filepath.Separator)) || err == nil && info.IsDir()
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("looking at %s: %w", out, err)
	case err == nil && folder && !info.IsDir():
		return usageError("%s is a file, but there are %d documents to write: name a folder", out, len(e.Files))
	}
	var written []string
	for _, f := range e.Files {
		name := out
		if folder {
			name = filepath.Join(out, filepath.FromSlash(f.Name))
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return fmt.Errorf("making a folder for %s: %w", f.Name, err)
		}
		if err := os.WriteFile(name, []byte(f.Text), 0o644); err != nil {
			return fmt.Errorf("writing %s: %w", f.Name, err)
		}
		written = append(written, name)
	}
	if g.json {
		return printJSON(c, map[string]any{"files": written, "warnings": e.Warnings})
	}
	for _, name := range written {
		fmt.Fprintln(c.OutOrStdout(), name)
	}
	return nil
}
