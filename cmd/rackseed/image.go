package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/view"
)

func newImageCommand(g *globals) *cobra.Command {
	c := &cobra.Command{Use: "image", Short: "The library of installation media", Example: "  rackseed image add Rocky-9.6-x86_64-dvd.iso --name rocky9"}
	c.AddCommand(newImageAddCommand(g), newImageListCommand(g), newImageRemoveCommand(g))
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
	live := isTerminal(c.ErrOrStderr())
	i, err := cl.AddImage(c.Context(), req, func(done, total int64) {
		if live && total > 0 {
			fmt.Fprintf(c.ErrOrStderr(), "\r%3d %% of %s ", done*100/total, size(total))
		}
	})
	if live {
		fmt.Fprint(c.ErrOrStderr(), "\r\x1b[K")
	}
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
