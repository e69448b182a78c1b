// Testsummary reads `go test -json` on standard input, shows packages as they finish and the output of
// what failed, and ends with the skipped tests by name and the counts alone on a line. It exits 1 when a
// test or a build failed, or when no test ran at all.
package main

import (
	"fmt"
	"os"
)

func main() {
	summary := newSummary(os.Stdout)
	if err := summary.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "testsummary:", err)
		os.Exit(1)
	}
	if !summary.finish() {
		os.Exit(1)
	}
}
