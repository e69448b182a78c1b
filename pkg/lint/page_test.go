package lint_test

import (
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

	"github.com/google/go-cmp/cmp"
)

// TestPageHasEveryFinding: docs/lints.md names what the code can find, each
// with its severity, and nothing else.
func TestPageHasEveryFinding(t *testing.T) {
	inCode := map[string]string{}
	for _, glob := range []string{"../planfile/*.go", "../site/check*.go", "../profile/*.go", "*.go"} {
		files, err := filepath.Glob(glob)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", glob, files, err)
		}
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				collect(t, file, inCode)
			}
		}
	}
	if len(inCode) < 150 {
		t.Fatalf("found only %d findings in the code", len(inCode))
	}
	page, err := os.ReadFile("../../docs/lints.md")
	if err != nil {
		t.Fatal(err)
	}
	onPage := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9_-]+)` \\| ([a-z, ]+) \\| [^|]+ \\| [^|]+ \\| [^|]+ \\|$").FindAllStringSubmatch(string(page), -1) {
		if _, twice := onPage[m[1]]; twice {
			t.Errorf("%s is on the page twice", m[1])
		}
		onPage[m[1]] = m[2]
	}
	if rows := strings.Count(string(page), "\n| `"); rows != len(onPage) {
		t.Errorf("%d of the %d rows can be read", len(onPage), rows)
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(inCode)), slices.Sorted(maps.Keys(onPage))); diff != "" {
		t.Fatalf("(-code +page):\n%s\nin code: %s", diff, strings.Join(slices.Sorted(maps.Keys(inCode)), " "))
	}
	if diff := cmp.Diff(inCode, onPage); diff != "" {
		t.Errorf("severities differ (-code +page):\n%s", diff)
	}
}

var idShape = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9_]+)+-?$`)

// kinds are the ends of ids that the code puts together.
var kinds = map[string][]string{
	"gateway-is-": {"network", "broadcast"}, "address-is-": {"network", "broadcast"}, "vip-is-": {"network", "broadcast"}, "pool-holds-": {"network", "broadcast"},
}

// collect reads the ids and their severities from what reports them.
func collect(t *testing.T, file string, into map[string]string) {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	add := func(severity string, e ast.Expr) {
		id := literal(e)
		if !idShape.MatchString(id) {
			return
		}
		ends, dealt := kinds[id]
		if !dealt {
			ends = []string{""}
		}
		for _, end := range ends {
			before := into[id+end]
			if before != "" && before != severity {
				severity = "error, warning"
			}
			into[id+end] = severity
		}
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		switch v := n.(type) {
		case *ast.CallExpr:
			severity := map[string]string{"fail": "error", "failAt": "error", "error": "error", "warn": "warning"}[called(v)]
			switch {
			case called(v) == "malformedPlan" && len(v.Args) > 0:
				if parameter := literal(v.Args[0]); parameter != "" {
					into["derive-"+parameter] = "error"
				}
			case called(v) == "report" && len(v.Args) > 2:
				if s, ok := v.Args[0].(*ast.SelectorExpr); ok {
					add(strings.ToLower(strings.TrimPrefix(s.Sel.Name, "Severity")), v.Args[1])
				}
			case severity != "":
				for _, a := range v.Args[:min(2, len(v.Args))] {
					add(severity, a)
				}
			}
		case *ast.KeyValueExpr:
			if key, ok := v.Key.(*ast.Ident); ok && key.Name == "ID" && literal(v.Value) != "derive-" {
				add("error", v.Value)
			}
		case *ast.ReturnStmt:
			if len(v.Results) == 3 {
				add("error", v.Results[0])
			}
		case *ast.ValueSpec:
			if len(v.Names) == 1 && v.Names[0].Name == "unresolved" {
				return false
			}
		}
		return true
	})
}

func called(c *ast.CallExpr) string {
	switch f := c.Fun.(type) {
	case *ast.SelectorExpr:
		return f.Sel.Name
	case *ast.Ident:
		return f.Name
	default:
		return ""
	}
}

// literal is a string, or the first of several that are added up.
func literal(e ast.Expr) string {
	switch v := e.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(v.Value); err == nil && v.Kind == token.STRING {
			return s
		}
	case *ast.BinaryExpr:
		return literal(v.X)
	}
	return ""
}
