package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// event is one line of `go test -json` (`go doc test2json`); ImportPath is set on build events.
type event struct {
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Output      string
	Elapsed     float64
	FailedBuild string
}

type test struct{ pkg, name string }

type skip struct {
	test
	reason string
}

type summary struct {
	out            io.Writer
	output         map[test][]string // of tests that are not finished
	passed, failed int
	skipped        []skip
	broken         []string // packages that failed although none of their tests did
	failedIn       map[string]bool
}

func newSummary(out io.Writer) *summary {
	return &summary{out: out, output: map[test][]string{}, failedIn: map[string]bool{}}
}

func (s *summary) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(s.out, lines.Text())
			continue
		}
		s.add(e)
	}
	return lines.Err()
}

func (s *summary) add(e event) {
	at := test{e.Package, e.Test}
	switch {
	case e.Action == "build-output":
		fmt.Fprint(s.out, e.Output)
	case e.Action == "output":
		s.output[at] = append(s.output[at], e.Output)
	case e.Test == "":
		s.endPackage(e)
	default:
		s.endTest(at, e.Action)
	}
}

func (s *summary) endTest(at test, action string) {
	switch action {
	case "pass":
		s.passed++
	case "skip":
		s.skipped = append(s.skipped, skip{at, reason(s.output[at])})
	case "fail":
		s.failed++
		s.failedIn[at.pkg] = true
		fmt.Fprintf(s.out, "FAIL %s %s\n%s", at.pkg, at.name, strings.Join(s.output[at], ""))
	default:
		return
	}
	delete(s.output, at)
}

func (s *summary) endPackage(e event) {
	at := test{pkg: e.Package}
	switch e.Action {
	case "pass":
		fmt.Fprintf(s.out, "ok   %s %.1fs\n", e.Package, e.Elapsed)
	case "fail":
		fmt.Fprintf(s.out, "FAIL %s %.1fs\n", e.Package, e.Elapsed)
		if !s.failedIn[e.Package] {
			s.broken = append(s.broken, e.Package)
			s.unfinished(e.Package)
			fmt.Fprint(s.out, strings.Join(s.output[at], ""))
		}
	default:
		return
	}
	delete(s.output, at)
}

// unfinished shows what the tests of a crashed or timed-out package had said.
func (s *summary) unfinished(pkg string) {
	for at, lines := range s.output {
		if at.pkg == pkg && at.name != "" {
			fmt.Fprintf(s.out, "UNFINISHED %s %s\n%s", at.pkg, at.name, strings.Join(lines, ""))
			delete(s.output, at)
		}
	}
}

// finish prints the end of the report and says whether all is well.
func (s *summary) finish() bool {
	slices.SortFunc(s.skipped, func(a, b skip) int {
		return strings.Compare(a.pkg+"\x00"+a.name, b.pkg+"\x00"+b.name)
	})
	if len(s.skipped) > 0 {
		fmt.Fprintln(s.out, "\nskipped:")
	}
	for _, k := range s.skipped {
		fmt.Fprintf(s.out, "  %s %s: %s\n", k.pkg, k.name, k.reason)
	}
	for _, pkg := range s.broken {
		fmt.Fprintf(s.out, "broken: %s did not build, crashed or ran out of time\n", pkg)
	}
	failed := s.failed + len(s.broken)
	fmt.Fprintf(s.out, "\n%d passed, %d failed, %d skipped\n", s.passed, failed, len(s.skipped))
	return failed == 0 && s.passed > 0
}

var logLine = regexp.MustCompile(`^\s+\S+\.go:\d+: (.*)`)

func reason(output []string) string {
	for _, line := range slices.Backward(output) {
		if m := logLine.FindStringSubmatch(line); m != nil {
			return m[1]
		}
	}
	return "no reason given"
}
