package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/answer"
	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/site"
)

// bundleKind is what render calls a bundle. A colon and a system may follow
// it: bundle:debian12.
const bundleKind = "bundle"

// bundle writes the script that makes an installed system the node. An empty
// system means that of the node's image.
func (x *explainer) bundle(s *site.State, n *site.Node, system string) (string, error) {
	intent, err := x.compose(false).Intent(s, n)
	if err != nil {
		return "", err
	}
	image := imageFor(s, n, "")
	if system != "" {
		planned := image.Family
		if image, err = installed(system); err != nil {
			return "", err
		}
		if image.Family != planned { // which the repositories of the plan are for
			other := *intent
			other.Repositories = nil
			intent = &other
		}
	}
	data, err := answer.Bundle(&answer.Target{Intent: intent, Image: image, Site: s.Settings.Site})
	if err != nil {
		return "", fmt.Errorf("writing the bundle of %s: %w", n.Name, err)
	}
	return string(data), nil
}

// installed is a system that no image of the library has to stand for.
func installed(system string) (site.Image, error) {
	newest := map[string]string{"rhel": "9", "openeuler": "24.03", "kylin": "V10", "debian": "13", "ubuntu": "24.04"}
	for family, version := range newest {
		if rest, ok := strings.CutPrefix(strings.ToLower(system), family); ok {
			if rest != "" {
				version = strings.ToUpper(rest)
			}
			return site.Image{Name: system, Family: family, Distro: family, Version: version, Arch: "x86_64"}, nil
		}
	}
	return site.Image{}, fmt.Errorf("no bundle can be made for %q: use rhel, openeuler, kylin, debian or ubuntu, with a version behind it if you like, such as debian12", system)
}

func newBundleCommand(g *globals) *cobra.Command {
	var plan, out, system string
	c := &cobra.Command{
		Use: "bundle NODE", Short: "Write a script that makes an installed system the node", Args: cobra.ExactArgs(1),
		Long: `Writes one script with the packages, the tuning, the network and the checks of a
node, for a system that somebody else installed. It holds no secret. On the
machine, sh BUNDLE --help says more: --dry-run and --diff show what it would
change, --verify compares, --restore takes it back.`,
		Example: "  rackseed bundle cs-controller-01 --plan site.yaml -o cs-controller-01.sh\n  rackseed bundle cs-controller-01 --for debian12 | ssh root@10.22.1.1 'cat >bundle.sh && sh bundle.sh --dry-run'",
		RunE: func(c *cobra.Command, args []string) error {
			text, err := bundleText(c, g, args[0], plan, system)
			if err != nil {
				return err
			}
			if out == "" || out == "-" {
				_, err = io.WriteString(c.OutOrStdout(), text)
				return err
			}
			if err := os.WriteFile(out, []byte(text), 0o755); err != nil {
				return fmt.Errorf("writing the bundle: %w", err)
			}
			return nil
		},
	}
	c.Flags().StringVar(&plan, "plan", "", "answer from this plan file alone")
	c.Flags().StringVarP(&out, "output", "o", "", "write to this file, not to standard output")
	c.Flags().StringVar(&system, "for", "", "the system that is installed, such as debian12 (default: the node's image)")
	return c
}

func bundleText(c *cobra.Command, g *globals, node, plan, system string) (text string, err error) {
	as := bundleKind
	if system != "" {
		if _, err := installed(system); err != nil {
			return "", usageError("%w", err)
		}
		as += ":" + system
	}
	if plan == "" {
		err = withClient(c.Context(), g, func(cl *client.Client) error {
			text, err = cl.Render(c.Context(), node, as, false)
			return err
		})
		return text, err
	}
	s, x, err := offline(plan)
	if err != nil {
		return "", err
	}
	if text, err = x.render(s, node, as, false); err != nil {
		return "", usageError("%w", err)
	}
	return text, nil
}
