package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kdomanski/iso9660"
	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/answer"
	"github.com/rackseed/rackseed/pkg/image"
	"github.com/rackseed/rackseed/pkg/site"
)

// isoOptions are the flags of iso build.
type isoOptions struct {
	plan, node, role, image, out string
	remaster                     bool
}

func newISOCommand() *cobra.Command {
	c := &cobra.Command{Use: "iso", Short: "Installation media with the answers on them", Example: "  rackseed iso build --node cs-controller-01 --plan site.yaml -o answers.iso"}
	var o isoOptions
	build := &cobra.Command{
		Use: "build", Short: "Write a medium with the answers of a node or a role", Args: cobra.NoArgs,
		Long: `Writes a small ISO with answer files, to be attached beside the vendor's own
installation medium: as a second virtual drive of the BMC, or on a USB stick.
Installers find it by its label: OEMDRV for the RHEL family, openEuler and Kylin,
CIDATA for Ubuntu. Neither the network nor this machine is needed at the install,
and nothing is reported.

With --remaster, what is written is the vendor's medium of --image with the answers
on it and its boot menus pointing at them; that needs xorriso and mtools.

The medium holds the hash of root's password, if the plan sets one: keep it as you
keep the plan.`,
		Example: "  rackseed iso build --node cs-controller-01 --plan site.yaml -o answers.iso\n" +
			"  rackseed iso build --role compute --plan site.yaml --image Rocky-9.6-x86_64-dvd.iso -o compute.iso\n" +
			"  rackseed iso build --node cs-controller-01 --plan site.yaml --image Rocky-9.6-x86_64-dvd.iso --remaster -o rocky-controller-01.iso",
		RunE: func(c *cobra.Command, _ []string) error { return buildISO(c, o) },
	}
	build.Flags().StringVar(&o.plan, "plan", "", "plan file (required)")
	build.Flags().StringVar(&o.node, "node", "", "for this node")
	build.Flags().StringVar(&o.role, "role", "", "for all nodes of this role; a machine finds itself by MAC or serial number")
	build.Flags().StringVar(&o.image, "image", "", "the vendor's medium that will be installed from (default: guessed from the plan's name of it)")
	build.Flags().StringVarP(&o.out, "output", "o", "", "file to write (required)")
	build.Flags().BoolVar(&o.remaster, "remaster", false, "write the medium of --image again, with the answers on it")
	c.AddCommand(build)
	return c
}

func buildISO(c *cobra.Command, o isoOptions) error {
	switch {
	case o.plan == "" || o.out == "":
		return usageError("name the plan by --plan and the file to write by -o")
	case (o.node == "") == (o.role == ""):
		return usageError("name a node by --node, or a role by --role")
	case o.remaster && o.image == "":
		return usageError("name the medium to write again by --image")
	}
	s, x, err := offline(o.plan)
	if err != nil {
		return err
	}
	candidates, err := x.candidates(s, o)
	if err != nil {
		return err
	}
	label, files, err := answer.Medium(candidates)
	if err != nil {
		return usageError("%w", err)
	}
	what := "attach it beside the installation medium and boot that"
	if o.remaster {
		what = "boot it"
		err = remaster(c.Context(), o.image, o.out, candidates[0].Target.Image, files)
	} else {
		err = writeMedium(o.out, label, files)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %d node(s), %d answer file(s); %s\n", o.out, len(candidates), len(files), what)
	return err
}

// candidates are the nodes that a medium is for.
func (x *explainer) candidates(s *site.State, o isoOptions) ([]answer.Candidate, error) {
	var media *site.Image
	if o.image != "" {
		m, err := image.Examine(o.image)
		if err != nil {
			return nil, err
		}
		i := siteImage(image.Image{Name: filepath.Base(o.image), Media: m})
		media = &i
	}
	var list []answer.Candidate
	composer := x.compose(true)
	for _, m := range s.Machines() {
		if m.Node.Name != o.node && (o.role == "" || m.Node.Role != o.role) {
			continue
		}
		of := imageFor(s, m.Node, "")
		if media != nil {
			of = *media
		}
		t, err := composer.Target(s, m.Node, of)
		if err != nil {
			return nil, usageError("%w", err)
		}
		if len(m.Node.MACs) > 0 {
			t.MAC = m.Node.MACs[0]
		}
		list = append(list, answer.Candidate{Target: t, MACs: m.Node.MACs, Serial: m.Node.Serial})
	}
	if len(list) == 0 {
		return nil, usageError("the plan has no node %s%s", o.node, o.role)
	}
	return list, nil
}

// writeMedium writes a volume. It appears under its name once it is whole.
func writeMedium(name, label string, files []answer.File) error {
	w, err := iso9660.NewWriter()
	if err != nil {
		return fmt.Errorf("writing the medium: %w", err)
	}
	defer func() { _ = w.Cleanup() }()
	for _, f := range files {
		if err := w.AddFile(bytes.NewReader(f.Data), f.Name); err != nil {
			return fmt.Errorf("writing %s to the medium: %w", f.Name, err)
		}
	}
	out, err := os.CreateTemp(filepath.Dir(name), ".rackseed-*.iso")
	if err != nil {
		return fmt.Errorf("writing the medium: %w", err)
	}
	defer os.Remove(out.Name())
	if err := errors.Join(w.WriteTo(out, label), out.Sync(), out.Close()); err != nil {
		return fmt.Errorf("writing the medium: %w", err)
	}
	if err := os.Rename(out.Name(), name); err != nil {
		return fmt.Errorf("writing the medium: %w", err)
	}
	return nil
}
