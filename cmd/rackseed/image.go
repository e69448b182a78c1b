package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

func newImageCommand(g *globals) *cobra.Command {
	c := &cobra.Command{Use: "image", Short: "The library of installation media", Example: "  rackseed image add Rocky-9.6-x86_64-dvd.iso --name rocky9"}
	c.AddCommand(newImageAddCommand(g), newImageListCommand(g), newImageShowCommand(g), newImageVerifyCommand(g), newImageRemoveCommand(g))
	return c
}

func newImageAddCommand(g *globals) *cobra.Command {
	var req view.ImageRequest
	c := &cobra.Command{
		Use: "add FILE.iso", Short: "Recognise, hash and keep an installation medium", Args: cobra.ExactArgs(1),
		Example: "  rackseed image add Rocky-9.6-x86_64-dvd.iso --name rocky9\n  rackseed image add debian-12-DVD-1.iso --name debian12 --kernel linux --initrd initrd.gz",
		RunE: func(c *cobra.Command, args []string) error {
			for _, file := range []*string{&args[0], &req.Kernel, &req.Initrd} {
				if *file == "" {
					continue
				}
				path, err := filepath.Abs(*file)
				if err != nil {
					return fmt.Errorf("finding %s: %w", *file, err)
				}
				*file = path
			}
			req.File = args[0]
			return withClient(c.Context(), g, func(cl *client.Client) error { return addImage(c, g, cl, req) })
		},
	}
	c.Flags().StringVar(&req.Name, "name", "", "what the plan calls it (default: distribution and release, rocky9)")
	c.Flags().StringVar(&req.Kernel, "kernel", "", "network-boot kernel, for a medium that has none (Debian DVD)")
	c.Flags().StringVar(&req.Initrd, "initrd", "", "network-boot initrd, for a medium that has none (Debian DVD)")
	return c
}

func addImage(c *cobra.Command, g *globals, cl *client.Client, req view.ImageRequest) error {
	var i view.ImageResult
	err := withProgress(c, func(progress func(done, total int64)) (err error) {
		i, err = cl.AddImage(c.Context(), req, progress)
		return err
	})
	if err != nil {
		return err
	}
	if g.json {
		return printJSON(c, i)
	}
	for _, w := range i.Warnings {
		fmt.Fprintln(c.ErrOrStderr(), "warning:", w)
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %s %s %s, %s, sha256 %s\n", i.Name, i.Distro, i.Version, i.Arch, size(i.Size), i.Digest)
	return err
}

// withProgress shows in a terminal how much of a medium was read.
func withProgress(c *cobra.Command, read func(progress func(done, total int64)) error) error {
	out := c.ErrOrStderr()
	if !isTerminal(out) {
		return read(func(int64, int64) {})
	}
	defer fmt.Fprint(out, "\r\x1b[K")
	return read(func(done, total int64) {
		if total > 0 {
			fmt.Fprintf(out, "\r%3d %% of %s ", done*100/total, size(total))
		}
	})
}

func newImageShowCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Say what a medium is, and who installs from it", Args: cobra.ExactArgs(1),
		Example: "  rackseed image show rocky9",
		RunE: func(c *cobra.Command, args []string) error {
			return withClient(c.Context(), g, func(cl *client.Client) error { return showImage(c, g, cl, args[0]) })
		},
	}
}

func showImage(c *cobra.Command, g *globals, cl *client.Client, name string) error {
	list, err := cl.Images(c.Context())
	if err != nil {
		return err
	}
	at := slices.IndexFunc(list, func(i site.Image) bool { return i.Name == name || i.Digest == name })
	if at < 0 {
		names := make([]string, 0, len(list))
		for _, i := range list {
			names = append(names, i.Name)
		}
		if near, ok := site.Nearest(name, names); ok {
			return usageError("there is no image %s: did you mean %s?", name, near)
		}
		return usageError("there is no image %s: `rackseed image list` shows what there is", name)
	}
	i := list[at]
	if g.json {
		return printJSON(c, i)
	}
	nodes, err := cl.Nodes(c.Context(), "")
	if err != nil {
		return err
	}
	users := 0
	for _, n := range nodes {
		if n.Image == i.Name {
			users++
		}
	}
	rows := [][]string{
		{"name", i.Name}, {"distribution", i.Distro + " " + i.Version}, {"architecture", i.Arch}, {"size", size(i.Size)}, {"sha256", i.Digest},
		{"label", orDash(i.Label)}, {"kernel", i.Kernel}, {"initrd", i.Initrd}, {"stage 2", orDash(i.Stage2)},
		{"repositories", orDash(strings.Join(i.Repos, " "))}, {"added", i.Added.Local().Format(time.DateTime)}, {"nodes", fmt.Sprint(users)},
	}
	return table(c.OutOrStdout(), []string{"WHAT", "VALUE"}, rows)
}

func newImageVerifyCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "verify NAME", Short: "Hash a medium again, and say whether it is what was added", Args: cobra.ExactArgs(1),
		Example: "  rackseed image verify rocky9",
		RunE: func(c *cobra.Command, args []string) error {
			return withClient(c.Context(), g, func(cl *client.Client) error {
				err := withProgress(c, func(progress func(done, total int64)) error { return cl.VerifyImage(c.Context(), args[0], progress) })
				if err != nil {
					return err
				}
				if g.json {
					return printJSON(c, map[string]any{"name": args[0], "ok": true})
				}
				_, err = fmt.Fprintf(c.OutOrStdout(), "%s is what was added\n", args[0])
				return err
			})
		},
	}
}

func newImageListCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the media of the library", Args: cobra.NoArgs,
		Example: "  rackseed image list",
		RunE: func(c *cobra.Command, _ []string) error {
			return withClient(c.Context(), g, func(cl *client.Client) error {
				list, err := cl.Images(c.Context())
				if err != nil {
					return err
				}
				if g.json {
					return printJSON(c, list)
				}
				rows := make([][]string, 0, len(list))
				for _, i := range list {
					rows = append(rows, []string{i.Name, i.Distro, i.Version, i.Arch, size(i.Size), i.Digest})
				}
				return table(c.OutOrStdout(), []string{"NAME", "DISTRIBUTION", "VERSION", "ARCH", "SIZE", "SHA-256"}, rows)
			})
		},
	}
}

func newImageRemoveCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Short: "Take a medium out of the library", Args: cobra.ExactArgs(1),
		Example: "  rackseed image remove rocky9",
		RunE: func(c *cobra.Command, args []string) error {
			return withClient(c.Context(), g, func(cl *client.Client) error { return cl.RemoveImage(c.Context(), args[0]) })
		},
	}
}
