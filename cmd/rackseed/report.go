package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/client"
)

func newReportCommand(g *globals) *cobra.Command {
	var format, out, lang string
	c := &cobra.Command{
		Use: "report [SELECTOR]", Short: "Write the hand-over report (HTML, XLSX, JSON)", Args: cobra.MaximumNArgs(1),
		Long: `Write the hand-over report: for each machine its serial number, firmware, disks, ports and addresses, who
armed it, its attempts with their times and the checksums of image and answer file, and where it differs
from what was planned. The HTML is one file that prints a machine a page.`,
		Example: "  rackseed report -o handover.html --lang zh\n  rackseed report rack=A03 -o rack-a03.xlsx\n  rackseed report --format json | jq '.nodes[] | select(.deviations)'",
		RunE: func(c *cobra.Command, args []string) error {
			selector := strings.Join(args, "")
			kind, err := reportFormat(format, out, g.json)
			if err != nil {
				return err
			}
			if lang != "en" && lang != "zh" {
				return usageError("--lang %s: there are en and zh", lang)
			}
			var data bytes.Buffer
			if err := withClient(c.Context(), g, func(cl *client.Client) error { return cl.Report(c.Context(), &data, selector, kind, lang) }); err != nil {
				return err
			}
			return deliverReport(c, data.Bytes(), kind, out)
		},
	}
	c.Flags().StringVar(&format, "format", "", "html, xlsx or json (default: what the ending of -o says, else html)")
	c.Flags().StringVarP(&out, "output", "o", "", "`FILE` to write, in place of standard output")
	c.Flags().StringVar(&lang, "lang", "en", "language of HTML and XLSX: en or zh")
	return c
}

func reportFormat(format, out string, asJSON bool) (string, error) {
	switch {
	case format == "" && asJSON:
		format = "json"
	case format == "" && out != "":
		format = strings.TrimPrefix(strings.ToLower(filepath.Ext(out)), ".")
	case format == "":
		format = "html"
	}
	switch format {
	case "html", "xlsx", "json":
		return format, nil
	case "htm":
		return "html", nil
	default:
		return "", usageError("%q is no format of the report: there are html, xlsx and json, by --format or by the ending of -o", format)
	}
}

func deliverReport(c *cobra.Command, data []byte, kind, out string) error {
	if kind == "json" {
		var indented bytes.Buffer
		if err := json.Indent(&indented, data, "", "  "); err != nil {
			return fmt.Errorf("reading the report: %w", err)
		}
		data = append(indented.Bytes(), '\n')
	}
	if out == "" {
		if kind == "xlsx" && isTerminal(c.OutOrStdout()) {
			return usageError("a workbook is not for a terminal: name a file with -o")
		}
		_, err := c.OutOrStdout().Write(data)
		return err
	}
	if err := replaceFile(out, data, 0o644); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	_, err := fmt.Fprintln(c.OutOrStdout(), out)
	return err
}
