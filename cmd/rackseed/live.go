package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/answer"
	"github.com/rackseed/rackseed/pkg/site"
)

// What render calls the two halves of a stateless boot: the initial ramdisk
// that makes a live image the node, and the kernel's arguments.
const (
	overlayKind = "overlay"
	liveKind    = "live"
)

// live writes what a stateless node needs. Nothing of it is secret.
func (x *explainer) live(s *site.State, n *site.Node, mac site.MAC, as string) (string, error) {
	intent, err := x.compose(false).Intent(s, n)
	if err != nil {
		return "", err
	}
	t := &answer.Target{Intent: intent, Image: imageFor(s, n, ""), MAC: mac, Site: s.Settings.Site}
	if as == overlayKind {
		data, err := answer.Overlay(t)
		if err != nil {
			return "", fmt.Errorf("writing the overlay: %w", err)
		}
		return string(data), nil
	}
	args, err := answer.LiveArgs(t, x.server.HTTP+"/images/"+t.Image.Digest+"/LiveOS/squashfs.img")
	if err != nil {
		return "", fmt.Errorf("writing the kernel arguments: %w", err)
	}
	return strings.Join(args, " ") + "\n", nil
}

// deliver writes a document to a file or to standard output.
func deliver(c *cobra.Command, text, out, as string) error {
	if out != "" && out != "-" {
		if err := os.WriteFile(out, []byte(text), 0o600); err != nil {
			return fmt.Errorf("writing the document: %w", err)
		}
		return nil
	}
	if as == overlayKind && isTerminal(c.OutOrStdout()) {
		return usageError("an overlay is no text for a terminal: write it to a file with -o FILE")
	}
	_, err := io.WriteString(c.OutOrStdout(), text)
	return err
}
