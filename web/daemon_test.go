package web

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// spoken are the sources whose sentences come to the page. Whoever writes a
// sentence there writes its Chinese into i18n/daemon.zh.json. A minus takes
// sources out again: what only the command line says, or what is no sentence.
var spoken = []string{
	"pkg/site/check*.go", "pkg/site/mac.go", "pkg/site/selector.go", "pkg/site/inventory.go", "pkg/lint/*.go",
	"pkg/profile/*.go", "-pkg/profile/network_switch.go",
	"pkg/planfile/*.go", "-pkg/planfile/emit.go",
	"pkg/planfile/sheet/*.go", "-pkg/planfile/sheet/starter.go", "-pkg/planfile/sheet/write.go",
	"pkg/flight/causes.go", "pkg/flight/text.go", "pkg/flight/notes.go",
	"pkg/install/*.go", "pkg/boot/*.go", "pkg/dhcp/*.go", "-pkg/dhcp/conn.go", "-pkg/dhcp/serve.go",
	"pkg/discovery/*.go", "pkg/cabling/*.go", "pkg/survey/*.go", "pkg/image/*.go", "pkg/image/iso/*.go", "-pkg/image/http.go", "-pkg/image/comps.go",
	"pkg/bmc/*.go", "pkg/bmc/console/recorder.go", "pkg/bmc/job/*.go", "pkg/bmc/batch/*.go", "pkg/bmc/redfish/*.go",
	"pkg/bmc/ipmi/boot.go", "pkg/bmc/ipmi/console.go", "pkg/bmc/ipmi/errors.go", "pkg/bmc/ipmi/ipmi.go", "pkg/bmc/ipmi/session.go", "pkg/bmc/ipmi/password.go",
	"pkg/api/*.go", "pkg/view/*.go", "pkg/login/desk.go",
	"cmd/rackseed/doctor.go", "cmd/rackseed/doctorimages.go", "cmd/rackseed/foreign.go", "cmd/rackseed/health.go", "cmd/rackseed/linkwatch.go", "cmd/rackseed/wire.go",
	"pkg/flight/log.go", "pkg/flight/phases.go", "cmd/rackseed/observe.go", "cmd/rackseed/observe_http.go", "cmd/rackseed/explain.go",
}

// unread are strings in those sources that look like sentences and are read
// by programs.
var unread = regexp.MustCompile(`^(hostname=name |UUID=|deb \[|text/|is anybody there|too many$|lock out$|login delayed$|first record does|server gave HTTP|the plan$|- -- |Kernel panic$|nodes:|attachment; |inline; |red hat enterprise linux$|\.disk/info says)|\(\?i\)|PXE-E\d+\||curl: \\`)

// borrowed are texts of Go and of the kernel that errors end with.
var borrowed = []string{
	"no such file or directory", "file does not exist", "permission denied", "operation not permitted", "no space left on device", "file too large",
	"connection refused", "connection reset by peer", "network is unreachable", "no route to host", "i/o timeout", "context deadline exceeded",
	"context canceled", "address already in use", "unexpected EOF", "input/output error", "read-only file system", "device or resource busy",
}

// scripts of answer files, whose words come back as reasons and deviations.
var answerScripts = []string{
	"disk.sh", "disk-clear.sh", "disk-debconf.sh", "disk-autoinstall.sh", "early.sh", "late.sh", "late-esp.sh", "cabling.sh",
	"autoinstall-error.sh", "autoinstall-late.sh", "ks-onerror.sh", "verify.sh", "verify-net.sh", "medium-node.sh",
}

// apart are sentences that stand in their sources in pieces, and what the
// machines of the demo say.
var apart = []string{
	"{}: is {}, planned {}", "CPUs of {}: are {}, planned {}", "not set", "sysctl {}", "there is no disk at all, is the driver of its controller missing?", // scripts of answer files
	"at {}: {}", "by {}: {}", "{}, through relay {}", "{}, read back: {}", "the column {} is for {}, and the plan has {} networks for that",
	"the column {} could be the management address or one on a business network of its own", "adding {}: {}",
	"not an ISO 9660 image: no volume descriptor at sector {}; check that it is the ISO itself, unpacked, and not a web page or a disk image",
	"a viewer", "an operator", "ready", "armed", "on", "off", "empty", "{} of UEFI {}", "{} of UEFI HTTP {}", "HTTP boot of UEFI {}", "HTTP boot of UEFI {}, through relay {}", "power {}", "power {}: {}",
	"{} disks match the selector of the system disk, {} is wanted: {}; nothing was written",
	"package {} does not install: unexpected end of file",
	"sysctl {} is {}, not {}",
}

// Whatever the daemon says on the page it says in Chinese, too.
func TestDaemonSpeaksChinese(t *testing.T) {
	chinese := map[string]string{}
	if err := json.Unmarshal([]byte(read(t, "i18n/daemon.zh.json")), &chinese); err != nil {
		t.Fatal(err)
	}
	said := daemonTexts(t)
	maps.Copy(said, profileTexts(t))
	maps.Copy(said, scriptTexts(t))
	for _, text := range apart {
		said[text] = "apart"
	}
	for _, text := range borrowed {
		said[text] = "Go"
	}
	for _, text := range slices.Sorted(maps.Keys(said)) {
		if chinese[text] == "" {
			t.Errorf("i18n/daemon.zh.json lacks what %s says: %q", said[text], text)
		}
	}
	for text, translated := range chinese {
		if said[text] == "" {
			t.Errorf("i18n/daemon.zh.json has %q, which nothing says", text)
		}
		checkHoles(t, text, translated)
	}
}

var hole = regexp.MustCompile(`\{(\d+)(?::([a-z|]+))?\}`) // a number and, of a value that has a label on the page, its kinds

// checkHoles wants every value of a sentence in its Chinese, by number.
func checkHoles(t *testing.T, text, translated string) {
	t.Helper()
	holes := strings.Count(text, "{}")
	if holes == 0 {
		return // a number in braces is part of the sentence
	}
	used := map[int]bool{}
	for _, m := range hole.FindAllStringSubmatch(translated, -1) {
		n, _ := strconv.Atoi(m[1])
		used[n] = true
	}
	for n := 1; n <= max(holes, len(used)); n++ {
		if !used[n] || n > holes {
			t.Errorf("%q has %d values, and its Chinese uses others: %q", text, holes, translated)
			return
		}
	}
}

// daemonTexts are the sentences in the daemon's sources, with {} for each
// value, and where they are.
func daemonTexts(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, name := range sources(t) {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		s := sentences{consts: constants(file), found: map[string]bool{}}
		ast.Walk(&s, file)
		for text := range s.found {
			found[text] = name
		}
	}
	return found
}

func sources(t *testing.T) []string {
	t.Helper()
	files := map[string]bool{}
	for _, pattern := range spoken {
		plain := strings.TrimPrefix(pattern, "-")
		names, err := filepath.Glob(filepath.Join("..", plain))
		if err != nil || len(names) == 0 {
			t.Fatalf("%s names no source (%v)", pattern, err)
		}
		for _, name := range names {
			if !strings.HasSuffix(name, "_test.go") {
				files[filepath.ToSlash(strings.TrimPrefix(name, ".."+string(filepath.Separator)))] = plain == pattern
			}
		}
	}
	maps.DeleteFunc(files, func(_ string, wanted bool) bool { return !wanted })
	return slices.Sorted(maps.Keys(files))
}

var (
	spokenWord = regexp.MustCompile(`(?:\b(?:echo|differs|give_up)|report failed|\b(?:reason|must|cables)=) ?"`)
	progress   = regexp.MustCompile(`^(Rackseed |rackseed: | )`) // of an install, on its console
	fragment   = regexp.MustCompile(`^(is|has|fits) `)           // said of a disk
)

// scriptTexts are the sentences of the scripts, with {} for each expansion.
func scriptTexts(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, name := range answerScripts {
		text, err := os.ReadFile(filepath.Join("../pkg/answer/scripts", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range spokenWord.FindAllIndex(text, -1) {
			said := shellString(string(text[at[1]:]))
			if fragment.MatchString(said) {
				said = "{} " + said
			}
			if reading.MatchString(said) && !progress.MatchString(said) && !unread.MatchString(said) {
				found[strings.TrimSpace(said)] = "pkg/answer/scripts/" + name
			}
		}
	}
	if len(found) < 50 {
		t.Fatalf("%d sentences in the scripts", len(found))
	}
	return found
}

// shellString is a string up to the quotation mark that ends it, with {} for
// each expansion.
func shellString(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '"':
			return b.String()
		case text[i] == '$' && (text[i+1] == '{' || text[i+1] == '('):
			b.WriteString("{}")
			i += expansion(text[i+1:])
		case text[i] == '$':
			b.WriteString("{}")
			i += max(1, len(variable.FindString(text[i+1:])))
		default:
			b.WriteByte(text[i])
		}
	}
	return b.String()
}

var variable = regexp.MustCompile(`^(\w+|[*@#?])`)

// expansion is the length of what stands in brackets, with them.
func expansion(text string) int {
	depth := 0
	for i, c := range text {
		switch c {
		case '{', '(':
			depth++
		case '}', ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(text)
}

var summary = regexp.MustCompile(`(?m)^ *summary: *"?(.+?)"?$`)

// profileTexts are what the parameters of the shipped profiles are for.
func profileTexts(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	names, _ := filepath.Glob("../profiles/*.yaml")
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range summary.FindAllStringSubmatch(string(text), -1) {
			found[m[1]] = filepath.ToSlash(strings.TrimPrefix(name, "../"))
		}
	}
	if len(found) < 20 {
		t.Fatalf("%d summaries in the profiles", len(found))
	}
	return found
}

// constants are the string constants of a file, by name.
func constants(file *ast.File) map[string]string {
	values := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != len(spec.Names) {
			return true
		}
		for i, v := range spec.Values {
			if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				values[spec.Names[i].Name], _ = strconv.Unquote(lit.Value)
			}
		}
		return true
	})
	return values
}

// sentences collects the strings of a file that read as sentences.
type sentences struct {
	consts map[string]string
	found  map[string]bool
}

var (
	verb    = regexp.MustCompile(`%(\[\d\])?[-+#0]*[\d.]*[dsqvwxTfgtU]`)
	flag    = regexp.MustCompile(`VarP?$`) // of a command: cobra's ways to define one
	reading = regexp.MustCompile(`^iPXE script$|[a-z]{2,}[,:;]? [a-z(]|[a-z]{3,}: ?\{\}|\{\} [a-z]{2,}`)
)

// Visit stops at what nobody reads on the page: tags, patterns, the daemon's
// own log, and the help of commands.
func (s *sentences) Visit(n ast.Node) ast.Visitor {
	switch n := n.(type) {
	case *ast.ImportSpec, *ast.Comment, *ast.CommentGroup:
		return nil
	case *ast.Field:
		n.Tag = nil
	case *ast.KeyValueExpr:
		if slices.Contains([]string{"Use", "Short", "Long", "Example"}, name(n.Key)) {
			return nil
		}
	case *ast.CallExpr:
		if flag.MatchString(name(n.Fun)) {
			return nil
		}
		switch name(n.Fun) {
		case "MustCompile", "panic", "Info", "Warn", "Error", "Debug", "Fprintf", "Fprintln":
			return nil
		case "Sprintf", "Errorf":
			s.keep(s.template(n))
			for _, a := range n.Args[1:] {
				ast.Walk(s, a)
			}
			return nil
		}
	case *ast.BinaryExpr:
		if n.Op == token.ADD {
			s.keep(s.template(n))
			s.values(n)
			return nil
		}
	case *ast.BasicLit:
		s.keep(s.template(n))
	}
	return s
}

// values walks what is put into a sum of strings, without its own words.
func (s *sentences) values(e ast.Expr) {
	if b, ok := e.(*ast.BinaryExpr); ok && b.Op == token.ADD {
		s.values(b.X)
		s.values(b.Y)
		return
	}
	if _, ok := e.(*ast.BasicLit); !ok && name(e) != "Sprintf" {
		ast.Walk(s, e)
	}
}

func (s *sentences) keep(text string) {
	text = strings.TrimSpace(strings.ReplaceAll(verb.ReplaceAllString(text, "{}"), "%%", "%"))
	if reading.MatchString(text) && !unread.MatchString(text) && strings.ContainsFunc(strings.ReplaceAll(text, "{}", ""), unicode.IsLetter) {
		s.found[text] = true
	}
}

// template is a string with {} for what is not known before it runs.
func (s *sentences) template(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			text, _ := strconv.Unquote(e.Value)
			return text
		}
	case *ast.Ident:
		if text, ok := s.consts[e.Name]; ok {
			return text
		}
	case *ast.ParenExpr:
		return s.template(e.X)
	case *ast.BinaryExpr:
		return s.template(e.X) + s.template(e.Y)
	case *ast.CallExpr:
		if n := name(e.Fun); (n == "Sprintf" || n == "Errorf") && len(e.Args) > 0 {
			return s.template(e.Args[0])
		}
	}
	return "{}"
}

func name(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.CallExpr:
		return name(e.Fun)
	}
	return ""
}
