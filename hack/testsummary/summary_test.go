package main

import (
	"slices"
	"strings"
	"testing"
)

func TestSummary(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     []string // lines of the report
		ok       bool
	}{
		{
			name: "a skipped test is named with its reason",
			in: `{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:7: needs root: run as root\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"--- SKIP: TestA (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p"}`,
			want: []string{"  p TestA: needs root: run as root", "1 passed, 0 failed, 1 skipped"},
			ok:   true,
		},
		{
			name: "a failed test shows what it said",
			in: `{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:7: got 1, want 2\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}`,
			want: []string{"FAIL p TestA", "    a_test.go:7: got 1, want 2", "0 passed, 1 failed, 0 skipped"},
		},
		{
			name: "a package that does not build fails the run",
			in: `{"ImportPath":"p","Action":"build-output","Output":"p/a.go:1:1: expected 'package'\n"}
{"ImportPath":"p","Action":"build-fail"}
{"Action":"fail","Package":"p","FailedBuild":"p"}
{"Action":"pass","Package":"q","Test":"TestB"}
{"Action":"pass","Package":"q"}`,
			want: []string{
				"p/a.go:1:1: expected 'package'",
				"broken: p did not build, crashed or ran out of time", "1 passed, 1 failed, 0 skipped",
			},
		},
		{
			name: "a run without tests is not a success",
			in:   `{"Action":"skip","Package":"p"}`,
			want: []string{"0 passed, 0 failed, 0 skipped"},
		},
		{
			name: "lines that are not JSON are passed on",
			in:   "go: downloading example.org/x v1\n" + `{"Action":"pass","Package":"p","Test":"TestA"}`,
			want: []string{"go: downloading example.org/x v1", "1 passed, 0 failed, 0 skipped"},
			ok:   true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			s := newSummary(&out)
			if err := s.read(strings.NewReader(tt.in)); err != nil {
				t.Fatal(err)
			}
			if ok := s.finish(); ok != tt.ok {
				t.Errorf("finish() = %v, want %v", ok, tt.ok)
			}
			lines := strings.Split(out.String(), "\n")
			for _, want := range tt.want {
				if !slices.Contains(lines, want) {
					t.Errorf("the report lacks the line %q:\n%s", want, out.String())
				}
			}
		})
	}
}
