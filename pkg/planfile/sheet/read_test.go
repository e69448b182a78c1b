package sheet

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/rackseed/rackseed/pkg/site"
)

// testPlan has the networks and roles that the sheets below speak of.
func testPlan() *site.Plan {
	return &site.Plan{Settings: site.Settings{
		Networks: map[string]site.Network{
			"management": {Subnet: netip.MustParsePrefix("10.1.108.0/22"), Gateway: netip.MustParseAddr("10.1.108.1")},
			"business":   {Subnet: netip.MustParsePrefix("10.2.0.0/16")},
		},
		Roles: map[string]site.Role{"controller": {Profile: "controller"}, "compute": {Profile: "compute"}, "db": {Profile: "database"}},
	}}
}

func readText(t *testing.T, text string, opts Options) *Table {
	t.Helper()
	grids, err := Grids([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return Read(grids, opts)
}

const customer = `机柜,U位,序列号,型号,带外IP,带外用户,带外密码,PXE MAC,角色,主机名,管理IP
A01,38,2102313CJD10K0000001,TaiShan 200 2280,10.9.0.11,Administrator,"P@ss,1#x",3c78-4300-0101,controller,cs-controller-01,10.1.110.11/22
,36,2102313CJD10K0000002,TaiShan 200 2280,10.9.0.12,Administrator,"P@ss,1#x",3C:78:43:00:01:02,controller,cs-controller-02,10.1.110.12/22
A02,U20,219801A2YE0000000003,R4900 G5,10.9.0.31,admin,Pa$$w0rd,3c784300.0103,database,cs-db-02,10.1.110.32/22
B11,12-13,06TNQ0001,2288H V6,10.9.1.20,Administrator,x,3c78.4300.0120,compute,cs-computer-0020,10.1.109.20/22
`

// TestCustomerSheet reads one sheet as UTF-8 with a mark, as GBK, and with
// other delimiters; the malformed MAC is named, not skipped.
func TestCustomerSheet(t *testing.T) {
	gbk, err := simplifiedchinese.GB18030.NewEncoder().String(customer)
	if err != nil {
		t.Fatal(err)
	}
	semicolons := strings.NewReplacer(`"P@ss,1#x"`, `"P@ss,1#x"`, ",", ";").Replace(strings.ReplaceAll(customer, `"P@ss,1#x"`, "PASS"))
	for name, text := range map[string]string{
		"UTF-8 with a mark": "\ufeff" + customer,
		"GB18030":           gbk,
		"CRLF":              strings.ReplaceAll(customer, "\n", "\r\n"),
		"semicolons":        strings.ReplaceAll(semicolons, "PASS", `"P@ss,1#x"`),
		"tabs":              strings.ReplaceAll(strings.ReplaceAll(semicolons, ";", "\t"), "PASS", `"P@ss,1#x"`),
		"a title":           "2026年一期服务器清单,,,,,,,,,,\n" + customer,
	} {
		t.Run(name, func(t *testing.T) {
			table := readText(t, text, Options{Plan: testPlan()})
			offset := table.Heading - 1
			if len(table.Rows) != 3 {
				t.Fatalf("%d rows, want 3: %v", len(table.Rows), table.Findings)
			}
			second := table.Rows[1]
			if second.Node.Rack != "A01" || second.Node.U != 36 || second.Password.Reveal() != "P@ss,1#x" || second.Node.MACs[0].String() != "3c:78:43:00:01:02" {
				t.Errorf("row 3 was read as %+v", second)
			}
			if last := table.Rows[2].Node; last.Serial != "06TNQ0001" || last.U != 12 || last.Addresses["management"] != netip.MustParseAddr("10.1.109.20") {
				t.Errorf("row 5 was read as %+v", last)
			}
			var errs []Finding
			for _, f := range table.Findings {
				if f.Severity == site.SeverityError {
					errs = append(errs, f)
				}
			}
			if len(errs) != 1 || errs[0].ID != "mac-malformed" || errs[0].Row != 4+offset || errs[0].Column != "H" || errs[0].Heading != "PXE MAC" || errs[0].Cell != "3c784300.0103" {
				t.Errorf("the findings are %v", errs)
			}
			if s := fmt.Sprintf("%v %+v", table.Findings, table.Rows); strings.Contains(s, "P@ss") || strings.Contains(s, "w0rd") {
				t.Errorf("a password shows: %s", s)
			}
		})
	}
}

// TestCells: each quirk is read, or named with its place.
func TestCells(t *testing.T) {
	for _, tt := range []struct {
		name, heading, cell string
		want                string // of the field, or empty
		id                  string // of the finding, or empty
	}{
		{"hyphens in fours", "MAC", "5254-0012-3456", "52:54:00:12:34:56", ""},
		{"dots in fours", "MAC", "5254.0012.3456", "52:54:00:12:34:56", ""},
		{"hyphens in twos", "MAC", "52-54-00-12-34-56", "52:54:00:12:34:56", ""},
		{"bare", "MAC", "525400123456", "52:54:00:12:34:56", ""},
		{"full-width", "MAC地址", "５２：５４：００：１２：３４：５６", "52:54:00:12:34:56", ""},
		{"apostrophe", "MAC", "'525400123456", "52:54:00:12:34:56", ""},
		{"backtick", "MAC", "`525400123456", "52:54:00:12:34:56", ""},
		{"no-break space", "MAC", "525400123456\u00a0", "52:54:00:12:34:56", ""},
		{"two NICs", "MAC", "525400123456 / 525400123457", "52:54:00:12:34:56 52:54:00:12:34:57", ""},
		{"leading zeros lost", "MAC", "1122334455", "", "mac-number"},
		{"exponent", "MAC", "1E+11", "", "mac-rounded"},
		{"exponent with digits", "MAC", "1.12233E+11", "", "mac-rounded"},
		{"letters", "MAC", "3c784300.0103", "", "mac-malformed"},
		{"BMC's MAC", "带外MAC", "3C78-4300-0199", "3c:78:43:00:01:99", ""},
		{"BMC's MAC in English", "OOB-MAC", "3c784300.0199", "", "mac-malformed"},
		{"two MACs of a BMC", "BMC MAC", "3c7843000199 3c784300019a", "", "mac-malformed"},
		{"BMC's MAC with zeros lost", "bmc_mac", "1122334455", "", "mac-number"},
		{"serial with an exponent", "序列号", "2.10235E+19", "", "serial-rounded"},
		{"serial with zeros", "序列号", "00012", "00012", ""},
		{"unit", "U位", "12", "12", ""},
		{"unit with U", "U位", "U12", "12", ""},
		{"full-width unit", "U位", "Ｕ１２", "12", ""},
		{"units", "U位", "12-13", "12", ""},
		{"units downwards", "U位", "U13-U12", "12", ""},
		{"a height", "U位", "2U", "", "u-ambiguous"},
		{"no height", "U位", "38U", "38", ""},
		{"no unit", "U位", "top", "", "u-malformed"},
		{"unit 0", "U位", "0", "", "u-malformed"},
		{"address", "管理IP", "10.1.110.11", "10.1.110.11", ""},
		{"prefix", "管理IP", "10.1.110.11/22", "10.1.110.11", ""},
		{"prefix and gateway", "管理IP", `"10.1.110.11/22,10.1.108.1"`, "10.1.110.11", ""},
		{"full-width comma", "管理IP", `"10.1.110.11/22，10.1.108.1"`, "10.1.110.11", ""},
		{"other prefix", "管理IP", "10.1.110.11/24", "", "subnet-mismatch"},
		{"other gateway", "管理IP", `"10.1.110.11/22,10.1.108.254"`, "", "gateway-mismatch"},
		{"outside", "管理IP", "10.9.0.1", "", "address-outside-subnet"},
		{"no address", "管理IP", "10.1.110", "", "address-malformed"},
		{"a formula", "管理IP", "#N/A", "", "cell-error"},
		{"a run with no rows", "管理IP", "10.1.110.11-12", "", "address-run-length"},
		{"memory", "内存", "12*32GB", "412316860416", ""},
		{"memory without a unit", "内存", "384", "", "memory-malformed"},
		{"memory with the unit above", "内存(GB)", "384", "412316860416", ""},
		{"role by profile", "角色", "数据库", "db", ""},
		{"role by name", "用途", "计算节点", "compute", ""},
		{"no role", "角色", "存储", "", "role-unknown"},
		{"BMC", "iBMC地址", "10.9.0.1/24", "10.9.0.1", ""},
		{"name with capitals", "Host", "CS-DB-01", "cs-db-01", ""},
		{"name with an underscore", "Host", "cs_db_01", "", "hostname-malformed"},
		{"name that is a path", "Host", "../../x", "", "hostname-malformed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := "name,serial," + tt.heading + "\nn1,S1," + tt.cell + "\n"
			switch tt.heading {
			case "Host":
				text = "serial,rack," + tt.heading + "\nS1,A1," + tt.cell + "\n"
			case "序列号":
				text = "name,rack," + tt.heading + "\nn1,A1," + tt.cell + "\n"
			}
			table := readText(t, text, Options{Plan: testPlan()})
			if tt.id != "" {
				if len(table.Findings) != 1 || table.Findings[0].ID != tt.id || table.Findings[0].Row != 2 || table.Findings[0].Column != "C" || table.Findings[0].Fix == "" && tt.id != "uuid-malformed" {
					t.Fatalf("the findings are %v, want %s in C2", table.Findings, tt.id)
				}
				if len(table.Rows) != 0 {
					t.Errorf("the row was taken: %+v", table.Rows)
				}
				return
			}
			if len(table.Findings) > 0 || len(table.Rows) != 1 {
				t.Fatalf("%d rows, findings %v", len(table.Rows), table.Findings)
			}
			got := ""
			for _, f := range fieldChanges(&site.Node{}, &table.Rows[0].Node) {
				if f.New == tt.want {
					got = f.New
				}
			}
			if table.Rows[0].Node.Name == tt.want {
				got = tt.want
			}
			if got != tt.want {
				t.Errorf("read as %+v, want %s", table.Rows[0].Node, tt.want)
			}
		})
	}
}

// TestColumns: what a column is, is asked rather than guessed.
func TestColumns(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		opts       Options
		id         string
		fix        string
	}{
		{"business address", "主机名,业务IP\nn1,10.1.110.1\n", Options{}, "column-ambiguous", "--column '业务IP=NETWORK' with one of business, management"},
		{"two host names", "name,hostname,serial\na,b,S\n", Options{}, "column-duplicate", "--column '@B=ignore'"},
		{"one heading twice", "name,mac,MAC\na,525400123456,525400123457\n", Options{}, "column-duplicate", "@C=ignore"},
		{"no headings", "1,2,3\n4,5,6\n", Options{}, "headings-missing", "主机名"},
		{"nothing to tell machines by", "rack,role\nA01,compute\n", Options{}, "identity-missing", "--column"},
		{"a flag for no column", "name,serial\na,S\n", Options{Columns: map[string]string{"业务IP": "business"}}, "column-missing", "@C"},
		{"a flag with no meaning", "name,业务IP\na,10.1.110.1\n", Options{Columns: map[string]string{"业务IP": "data"}}, "column-meaning-unknown", "business, management"},
		{"no such network", "name,管理IP\na,10.1.110.1\n", Options{Networks: map[string]string{"管理IP": "data"}}, "column-network-unknown", "business, management"},
		{"an unknown sheet", "name,serial\na,S\n", Options{Sheet: "x"}, "sheet-unknown", "the sheets are"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.opts.Plan = testPlan()
			table := readText(t, tt.text, tt.opts)
			for _, f := range table.Findings {
				if f.ID == tt.id && f.Severity == site.SeverityError && strings.Contains(f.Fix, tt.fix) && len(table.Rows) == 0 {
					return
				}
			}
			t.Errorf("the findings are %v, want %s with %s", table.Findings, tt.id, tt.fix)
		})
	}
	decided := readText(t, "主机名,业务IP\nn1,10.1.110.1\n", Options{Plan: testPlan(), Columns: map[string]string{"业务IP": "management"}})
	if len(decided.Rows) != 1 || !decided.Rows[0].Node.Addresses["management"].IsValid() {
		t.Errorf("--column was not followed: %v", decided.Findings)
	}
	unknown := readText(t, "主机名,采购单,序列号\nn1,7,S\n主机名,采购单,序列号\n", Options{Plan: testPlan()})
	if len(unknown.Findings) != 1 || unknown.Findings[0].ID != "heading-unknown" || unknown.Findings[0].Column != "B" {
		t.Errorf("a column that is not read is not named: %v", unknown.Findings)
	}
}

// TestBadSheet: what two rows both claim is named in both.
func TestBadSheet(t *testing.T) {
	table := readText(t, `主机名,序列号,MAC地址,机柜,U位,带外IP
cs-db-01,S1,5254-0012-3456,A01,12-13,10.9.0.1
cs-db-02,S2,52:54:00:12:34:56,A01,13,10.9.0.2
# 以上为数据库
cs_db_03,S3,525400123458,A01,20,10.9.0.3
cs-db-04,S4,525400123459,A01,21,10.9.0.1
合计,4,,,,
cs-db-05,S5,525400123460,A01,22,10.9.0.5
`, Options{Plan: testPlan()})
	var got []string
	for _, f := range table.Findings {
		got = append(got, fmt.Sprintf("%s %s%d", f.ID, f.Column, f.Row))
	}
	want := "[value-duplicate C3 rack-unit-taken E3 hostname-malformed A5 value-duplicate F6]"
	if fmt.Sprint(got) != want {
		t.Errorf("findings %v, want %s", got, want)
	}
	if len(table.Rows) != 1 || table.Rows[0].Node.Name != "cs-db-05" || table.Skipped != 2 {
		t.Errorf("rows %+v, %d skipped", table.Rows, table.Skipped)
	}
}

// TestAddressRun deals a run out to the rows below it.
func TestAddressRun(t *testing.T) {
	table := readText(t, "name,管理IP\na,10.1.110.11-13\nb,\nc,\nd,10.1.110.20\n", Options{Plan: testPlan()})
	if len(table.Rows) != 4 || len(table.Findings) != 0 || table.Rows[2].Node.Addresses["management"].String() != "10.1.110.13" {
		t.Errorf("rows %+v, findings %v", table.Rows, table.Findings)
	}
	short := readText(t, "name,管理IP\na,10.1.110.11-50\nb,\nc,\nd,10.1.110.60\n", Options{Plan: testPlan()})
	if len(short.Rows) != 1 || short.Rows[0].Node.Name != "d" || len(short.Findings) != 1 || short.Findings[0].ID != "address-run-length" {
		t.Errorf("rows %+v, findings %v", short.Rows, short.Findings)
	}
}

// TestNames: a machine that the plan knows keeps its name, the others take
// the next that is free.
func TestNames(t *testing.T) {
	p := testPlan()
	p.Nodes = []site.Node{{Name: "cs-computer-02", Role: "compute", Serial: "S2"}, {Name: "cs-computer-01", Role: "compute", Serial: "S9"}}
	text := "主机名,序列号,角色\n,S1,compute\n,S2,compute\ncs-computer-03,S3,compute\n,S4,compute\n,S5,controller\n"
	rule, err := ParseNamingRule("compute=cs-computer-[01-04]")
	if err != nil {
		t.Fatal(err)
	}
	table := readText(t, text, Options{Plan: p, Names: []NamingRule{rule}})
	var got []string
	for _, r := range table.Rows {
		got = append(got, r.Node.Serial+"="+r.Node.Name)
	}
	if fmt.Sprint(got) != "[S2=cs-computer-02 S3=cs-computer-03 S1=cs-computer-04]" && fmt.Sprint(got) != "[S1=cs-computer-04 S2=cs-computer-02 S3=cs-computer-03]" {
		t.Errorf("names %v", got)
	}
	var ids []string
	for _, f := range table.Findings {
		ids = append(ids, fmt.Sprintf("%s %d", f.ID, f.Row))
	}
	if fmt.Sprint(ids) != "[naming-rule-short 5 hostname-missing 6]" {
		t.Errorf("findings %v", table.Findings)
	}
	if _, err := ParseNamingRule("cs-db"); err == nil {
		t.Error("a rule without a range was taken")
	}
}

// workbook makes an .xlsx in the way that customers do: numbers typed into
// cells, merged racks, a title.
func workbook(t testing.TB, build func(f *excelize.File)) []byte {
	t.Helper()
	f := excelize.NewFile()
	build(f)
	b, err := f.WriteToBuffer()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func set(t testing.TB, f *excelize.File, sheet string, cells map[string]any) {
	t.Helper()
	for at, v := range cells {
		if err := f.SetCellValue(sheet, at, v); err != nil {
			t.Fatal(err)
		}
	}
}

func customerWorkbook(t testing.TB) []byte {
	return workbook(t, func(f *excelize.File) {
		set(t, f, "Sheet1", map[string]any{
			"A1": "服务器清单", "A2": "机柜", "B2": "主机名", "C2": "序列号", "D2": "MAC地址", "E2": "管理IP", "F2": "U位", "G2": "带外密码",
			"A3": "A01", "B3": "n1", "C3": "S1", "D3": 525400123456, "E3": "10.1.110.11-13", "F3": 12, "G3": "s3cret",
			"B4": "n2", "C4": 12345, "D4": "5254-0012-3457", "F4": 14,
			"B5": "n3", "C5": 2102313123456789012.0, "D5": 1122334455, "F5": 16,
		})
		for _, m := range [][2]string{{"A1", "G1"}, {"A3", "A5"}, {"E3", "E5"}} {
			if err := f.MergeCell("Sheet1", m[0], m[1]); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := f.NewSheet("说明"); err != nil {
			t.Fatal(err)
		}
		set(t, f, "说明", map[string]any{"A1": "请勿修改"})
	})
}

func TestWorkbook(t *testing.T) {
	grids, err := Grids(customerWorkbook(t))
	if err != nil {
		t.Fatal(err)
	}
	table := Read(grids, Options{Plan: testPlan()})
	var got []string
	for _, f := range table.Findings {
		got = append(got, fmt.Sprintf("%s %s!%s%d", f.ID, f.Sheet, f.Column, f.Row))
	}
	want := "[sheet-without-table 说明!0 serial-number Sheet1!C4 serial-rounded Sheet1!C5 mac-number Sheet1!D5]"
	if fmt.Sprint(got) != want {
		t.Errorf("findings %v, want %s", got, want)
	}
	table = Read(grids, Options{Plan: testPlan(), NumbersAsText: true})
	if len(table.Rows) != 2 {
		t.Fatalf("%d rows: %v", len(table.Rows), table.Findings)
	}
	if n := table.Rows[0].Node; n.MACs[0].String() != "52:54:00:12:34:56" || n.U != 12 {
		t.Errorf("n1 was read as %+v", n)
	}
	if n := table.Rows[1].Node; n.Rack != "A01" || n.Serial != "12345" || n.Addresses["management"].String() != "10.1.110.12" {
		t.Errorf("n2 was read as %+v", n)
	}
}

// TestHeadings: the words of sheets that were seen, each under its key.
func TestHeadings(t *testing.T) {
	r := newReader(Options{Plan: testPlan()})
	for key, list := range map[Key]string{
		KeyHostname: "主机名|主机名称|名称|hostname|name|Host| 主 机 名 |\ufeff主机名|Host Name", KeyAsset: "资产编号|asset tag", KeyRoom: "机房",
		KeyRack: "机柜|机柜位置|机柜号|rack|rackid|location", KeyU: "U位|起始U|U|U-loc|rackunit|Ｕ位", KeySerial: "序列号|SN|serial|s/n|sn",
		KeyModel: "型号|品牌型号|设备类型|model", KeyBMCAddress: "带外IP|带外地址|BMC IP|iBMC地址|管理口IP|bmc_ip|ipmi-ip4|OOB IP|ipmi_address|带外\nIP",
		KeyBMCMAC: "带外MAC|OOB-MAC", KeyBMCUser: "带外用户|bmc_username|bmc_user", KeyBMCPassword: "带外密码|bmc_password|bmc_pass",
		KeyMAC: "MAC地址|PXE MAC|网卡MAC|mac|MAC|MAC1|网卡2MAC|mac地址（主）", KeyAddress: "管理IP|IP地址|ip_address|mgmt-ip4|ipv4_address",
		KeyCPU: "CPU型号|CPU数量|cpus", KeyMemory: "内存|ram|内存(GB)", KeyDisks: "硬盘|disk_size", KeyRole: "角色|用途|role|Workload|labels|tag",
		KeyOS: "操作系统|os", KeyOwner: "责任人|owner", KeyNote: "备注|note",
	} {
		for heading := range strings.SplitSeq(list, "|") {
			got, network, p := r.columnKey(heading)
			if got != key || p != nil || key == KeyAddress && network != "management" {
				t.Errorf("%q is read as %q %q (%v), want %q", heading, got, network, p, key)
			}
		}
	}
}

// TestNoHeading: values that stand under no heading are named, and a flag
// says what they are.
func TestNoHeading(t *testing.T) {
	text := "name,,serial\nn1,525400123456,S1\nn2,525400123457,S2\n"
	table := readText(t, text, Options{Plan: testPlan()})
	if len(table.Rows) != 2 || len(table.Findings) != 1 || table.Findings[0].ID != "heading-missing" || table.Findings[0].Column != "B" {
		t.Errorf("rows %+v, findings %v", table.Rows, table.Findings)
	}
	table = readText(t, text, Options{Plan: testPlan(), Columns: map[string]string{"@B": "mac"}})
	if len(table.Rows) != 2 || len(table.Findings) != 0 || len(table.Rows[1].Node.MACs) != 1 {
		t.Errorf("rows %+v, findings %v", table.Rows, table.Findings)
	}
}

// TestShiftedRow: a password with a comma that nobody quoted moves the cells
// after it, and shows in none of the findings.
func TestShiftedRow(t *testing.T) {
	for name, last := range map[string]string{"full": "10.1.110.11", "last cell empty": ""} {
		table := readText(t, "name,serial,带外密码,mac,管理IP\nn1,S1,P@ss,1#x,525400123456,"+last+"\nn2,S2,x,525400123457,10.1.110.12\n", Options{Plan: testPlan()})
		if len(table.Rows) != 1 || len(table.Findings) != 1 || table.Findings[0].ID != "row-too-long" || table.Findings[0].Row != 2 {
			t.Errorf("%s: rows %+v, findings %v", name, table.Rows, table.Findings)
		}
		if text := fmt.Sprintf("%+v", table.Findings); strings.Contains(text, "1#x") || strings.Contains(text, "P@ss") {
			t.Errorf("%s: a password shows: %s", name, text)
		}
	}
}

// TestFiles: what is no sheet is refused with what to do.
func TestFiles(t *testing.T) {
	far := workbook(t, func(f *excelize.File) { set(t, f, "Sheet1", map[string]any{"XFD1": "x"}) })
	deep := workbook(t, func(f *excelize.File) { set(t, f, "Sheet1", map[string]any{"A1048576": "x"}) })
	for name, tt := range map[string]struct{ data, want string }{
		"an .xls file":        {"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "save it as .xlsx"},
		"an open quotation":   {"name,serial\n\"a,S1\nb,S2\n", "line 2, column A: a quotation mark is not closed"},
		"text after a quote":  {"name,serial\na,\"S1\"2\n", "line 2, column B: text follows"},
		"no text":             {"name\xff\xff\xff\n", "neither UTF-8 nor GB18030"},
		"a damaged .xlsx":     {"PK\x03\x04nothing", "reading the .xlsx file"},
		"a cell far right":    {string(far), "cell XFD1 is beyond"},
		"a cell far down":     {string(deep), "is beyond row 65536"},
		"one that is too big": {strings.Repeat("a", maxFile+1), "larger than 32 MB"},
	} {
		if _, err := Grids([]byte(tt.data)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
}

// TestTwoRowsOfHeadings: words that stand over others, or below them.
func TestTwoRowsOfHeadings(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"below", "服务器信息,,,网络,,\n主机名,序列号,角色,管理,带外,MAC地址\n,,,IP地址,IP地址,\nn1,S1,计算,10.1.110.11,10.9.0.1,525400000001\n",
			"n1 S1 compute 10.1.110.11 10.9.0.1 52:54:00:00:00:01 -"},
		{"above", "基本信息,,,带外,,,网卡\n主机名,序列号,角色,IP,用户,MAC,MAC\nn1,S1,计算,10.9.0.1,admin,5254000000ff,525400000001\n",
			"n1 S1 compute - 10.9.0.1 52:54:00:00:00:01 52:54:00:00:00:ff"},
		{"a title, and one row", "一期服务器\n主机名,序列号,角色,IP地址,MAC地址\nn1,S1,计算,10.1.110.11,525400000001\n",
			"n1 S1 compute 10.1.110.11 - 52:54:00:00:00:01 -"},
		{"a machine right below that has little", "主机名,序列号,角色,备用\nn1,S1,计算,IP\n", "n1 S1 compute - - - -"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table := readText(t, tt.text, Options{Plan: testPlan()})
			if len(table.Rows) != 1 || HasErrors(table.Findings) {
				t.Fatalf("%d rows, %v", len(table.Rows), table.Findings)
			}
			n := table.Rows[0].Node
			words := []string{n.Name, n.Serial, n.Role, address(n.Addresses["management"]), n.BMC.Address, macs(n.MACs), macOf(n.BMC.MAC)}
			for i := range words {
				words[i] = cmp.Or(words[i], "-")
			}
			if got := strings.Join(words, " "); got != tt.want {
				t.Errorf("read as %s, want %s\n%v", got, tt.want, table.Findings)
			}
		})
	}
}

// FuzzCSV and FuzzXLSX are two, because a workbook takes a hundred times as
// long.
func FuzzCSV(f *testing.F) {
	f.Add([]byte(customer))
	f.Add([]byte("\xff\xfen\x00,\x00s\x00"))
	f.Add([]byte("主机名;管理IP;内存(GB);U位\na;10.1.110.1-9;384;2U\n\n;\"x\ny\";;\n"))
	f.Add([]byte("name\tserial\tip:business\n#\t\t\n\tS1\t10.2.0.1-2\n-\tS2\t\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		grids, err := readCSV(data)
		if err == nil {
			understand(t, grids)
		}
	})
}

func FuzzXLSX(f *testing.F) {
	f.Add(customerWorkbook(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		grids, err := readXLSX(data)
		if err == nil {
			understand(t, grids)
		}
	})
}

func understand(t *testing.T, grids []Grid) {
	for _, p := range []*site.Plan{nil, testPlan()} {
		table := Read(grids, Options{Plan: p, Names: []NamingRule{{"", "n-[01-99]"}}})
		m := MergeInto(p, table, MergeOptions{PasswordFile: func(n string) string { return "/p/" + n }})
		for _, row := range table.Rows {
			if row.Node.Name == "" {
				t.Errorf("row %d has no name", row.Number)
			}
		}
		if p == nil && len(m.Missing) > 0 {
			t.Errorf("a new plan misses %v", m.Missing)
		}
	}
}
