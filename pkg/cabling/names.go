package cabling

import (
	"regexp"
	"slices"
	"strings"
)

// sameSwitch compares the name of a switch as a plan has it with what it says
// of itself: with or without its domain, and a chassis ID by its digits.
func sameSwitch(want, got string) bool {
	if want == "" {
		return true
	}
	want, got = strings.ToLower(strings.TrimSpace(want)), strings.ToLower(strings.TrimSpace(got))
	if want == got {
		return true
	}
	if !strings.Contains(want, ".") || !strings.Contains(got, ".") {
		a, _, _ := strings.Cut(want, ".")
		b, _, _ := strings.Cut(got, ".")
		if a == b {
			return true
		}
	}
	digits := func(s string) string { return strings.NewReplacer(":", "", "-", "", ".", "").Replace(s) }
	return digits(want) == digits(got)
}

// numbers are the place of a port within its switch, at the end of its name.
var numbers = regexp.MustCompile(`^(.*?)([0-9]+(?:[/.:][0-9]+)*)$`)

// kinds are names that switches of several makes give ports of one speed, and
// their short forms.
var kinds = [][]string{
	{"ethernet", "eth", "et", "e"},
	{"gigabitethernet", "gigaethernet", "gi", "ge", "gig"},
	{"tengigabitethernet", "ten-gigabitethernet", "tengige", "xgigabitethernet", "te", "xge", "xe", "10ge"},
	{"twentyfivegige", "twenty-fivegige", "twentyfivegigabitethernet", "twe", "wge", "25ge"},
	{"fortygige", "fortygigabitethernet", "fo", "fge", "40ge"},
	{"hundredgige", "hundredgigabitethernet", "hu", "hge", "100ge"},
}

// samePort compares the name of a port as a plan has it with what the switch
// calls it: Eth1/7 is Ethernet1/7, and 1/7 is either.
func samePort(want, got string) bool {
	if want == "" {
		return true
	}
	flat := func(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), "")) }
	want, got = flat(want), flat(got)
	if want == got {
		return true
	}
	a, b := numbers.FindStringSubmatch(want), numbers.FindStringSubmatch(got)
	if a == nil || b == nil || a[2] != b[2] {
		return false
	}
	return a[1] == "" || b[1] == "" || slices.ContainsFunc(kinds, func(k []string) bool { return slices.Contains(k, a[1]) && slices.Contains(k, b[1]) })
}
