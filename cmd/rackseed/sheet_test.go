package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/rackseed/rackseed/pkg/planfile"
	"github.com/rackseed/rackseed/pkg/planfile/sheet"
)

// write puts a file into the folder and gives its name.
func write(t *testing.T, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func examplePlan(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "examples", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestImportLargeSite imports the 526 machines of a large site with labels
// read on site, of which three were replaced since: those are asked about.
func TestImportLargeSite(t *testing.T) {
	dir := t.TempDir()
	plan := write(t, dir, "site.yaml", examplePlan(t, "guangzhou.yaml"))
	doc, err := planfile.Parse(plan, examplePlan(t, "guangzhou.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	firstLine, _, _ := strings.Cut(string(examplePlan(t, "guangzhou.yaml")), "\n")
	rows := sheet.Sheet(doc.Plan, sheet.Chinese)
	serial, mac, name := column(t, rows, "序列号"), column(t, rows, "MAC地址"), column(t, rows, "主机名")
	replaced := map[string]bool{"cs-computer-0007": true, "cs-computer-0256": true, "cs-computer-0512": true}
	for i, row := range rows[1:] {
		row[mac] = fmt.Sprintf("5254-00%02x-%04x", i>>16, i+1)
		if replaced[row[name]] {
			row[serial] = fmt.Sprintf("NEW%04d", i)
		}
	}
	data, err := sheet.XLSX("资产", rows)
	if err != nil {
		t.Fatal(err)
	}
	file := write(t, dir, "assets.xlsx", data)

	status, out, errOut := runCLI(t, "plan", "import", file, "--plan", plan, "--write")
	if status != exitUsage || strings.Count(errOut, "[hardware-replaced]") != 3 || !strings.Contains(errOut, "--replace cs-computer-0256") || !strings.Contains(errOut, "nothing was written") {
		t.Fatalf("status %d\n%s", status, errOut)
	}
	if !strings.Contains(out, "523 changed") {
		t.Errorf("not counted: %s", out[strings.LastIndex(out[:len(out)-1], "\n"):])
	}
	if now, err := os.ReadFile(plan); err != nil || string(now) != string(examplePlan(t, "guangzhou.yaml")) {
		t.Error("the plan was written although machines are in question")
	}

	status, out, errOut = runCLI(t, "plan", "import", file, "--plan", plan, "--write", "--replace", "cs-computer-0007", "--replace", "cs-computer-[0256,0512]")
	if status != exitDone || !strings.Contains(out, "523 changed, 3 replaced") || !strings.Contains(out, "site.yaml.bak") {
		t.Fatalf("status %d\n%s%s", status, out[max(len(out)-2000, 0):], errOut)
	}
	if now, err := os.ReadFile(plan); err != nil || !strings.HasPrefix(string(now), firstLine) {
		t.Error("the comments of the plan are gone")
	}
	status, out, errOut = runCLI(t, "plan", "import", file, "--plan", plan)
	if status != exitDone || !strings.Contains(out, "526 as they are") {
		t.Errorf("the second import: status %d, %s", status, errOut)
	}
}

func column(t *testing.T, rows [][]string, heading string) int {
	t.Helper()
	for i, h := range rows[0] {
		if h == heading {
			return i
		}
	}
	t.Fatalf("no column %s in %v", heading, rows[0])
	return 0
}

// TestImportGBK reads the bytes that Excel in China writes.
func TestImportGBK(t *testing.T) {
	text := "资产清单;;;;\r\n机柜;主机名;序列号;网卡MAC;用途\r\nA01;n1;S1;5254-0012-3401;计算节点\r\n;n2;S2;5254.0012.3402;计算节点\r\n"
	data, err := simplifiedchinese.GBK.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	plan := filepath.Join(dir, "new.yaml")
	status, out, errOut := runCLI(t, "plan", "import", write(t, dir, "gbk.csv", []byte(data)), "--plan", plan, "--write")
	if status != exitDone || !strings.Contains(out, "headings in row 2") {
		t.Fatalf("status %d\n%s%s", status, out, errOut)
	}
	doc, err := planfile.Parse(plan, read(t, plan))
	if err != nil {
		t.Fatal(err)
	}
	if n := doc.Plan.Nodes; len(n) != 2 || n[1].Rack != "A01" || n[1].Role != "compute" || n[1].MACs[0].String() != "52:54:00:12:34:02" {
		t.Errorf("the new plan has %+v", n)
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestImportWorkbook: a workbook as people keep them, with merged racks and
// numbers where labels were.
func TestImportWorkbook(t *testing.T) {
	f := excelize.NewFile()
	for at, v := range map[string]any{
		"A1": "Rack list", "A2": "Rack", "B2": "Name", "C2": "S/N", "D2": "PXE MAC", "E2": "Role", "F2": "BMC_pass",
		"A3": "A01", "B3": "n1", "C3": "S1", "D3": "52:54:00:12:34:01", "E3": "compute", "F3": "hunter2",
		"B4": "n2", "C4": 12, "D4": 1122334455, "E4": "compute", "F4": "hunter2",
	} {
		if err := f.SetCellValue("Sheet1", at, v); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.MergeCell("Sheet1", "A3", "A4"); err != nil {
		t.Fatal(err)
	}
	b, err := f.WriteToBuffer()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := write(t, dir, "racks.xlsx", b.Bytes())
	for _, args := range [][]string{{}, {"--json"}} {
		status, out, errOut := runCLI(t, append([]string{"plan", "import", file}, args...)...)
		if all := out + errOut; status != exitUsage || strings.Contains(all, "hunter2") || !strings.Contains(all, "serial-number") || !strings.Contains(all, "mac-number") {
			t.Errorf("status %d\n%s", status, all)
		}
		if len(args) == 0 && (!strings.Contains(errOut, "sheet Sheet1, row 4, column D (PXE MAC): error:") || !strings.Contains(errOut, "1122334455")) {
			t.Errorf("the cell is not named: %s", errOut)
		}
	}
}
