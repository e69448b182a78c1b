package site

import (
	"fmt"
	"strconv"
	"strings"
)

// maxExpansion bounds what one pattern may stand for: far above the largest
// site, far below what a slip of the keyboard could ask for.
const maxExpansion = 65536

// maxExpansionBytes bounds the memory that one pattern may take.
const maxExpansionBytes = 8 << 20

// Expand writes out the ranges of a pattern in order: cs-[01-03] gives cs-01,
// cs-02, cs-03; a[1-2]b[1-2] gives four; r[1,3-5] gives r1, r3, r4, r5. The
// width of the first bound pads every number with zeros.
func Expand(pattern string) ([]string, error) {
	open := strings.IndexByte(pattern, '[')
	if end := strings.IndexByte(pattern, ']'); end >= 0 && (open < 0 || end < open) {
		return nil, fmt.Errorf("%.60q has a ] without a [", pattern)
	}
	if open < 0 {
		return []string{pattern}, nil
	}
	if strings.Count(pattern, "[") > maxRanges {
		return nil, fmt.Errorf("%.60q has more than %d ranges", pattern, maxRanges)
	}
	length := strings.IndexByte(pattern[open:], ']')
	if length < 0 {
		return nil, fmt.Errorf("%.60q has a [ without a ]: a range is written [0001-0512]", pattern)
	}
	numbers, err := expandNumbers(pattern[open+1 : open+length])
	if err != nil {
		return nil, fmt.Errorf("%.60q: %w", pattern, err)
	}
	tails, err := Expand(pattern[open+length+1:])
	if err != nil {
		return nil, err
	}
	count, longest := len(numbers)*len(tails), open+len(numbers[len(numbers)-1])+len(tails[len(tails)-1])
	if count > maxExpansion || count*longest > maxExpansionBytes {
		return nil, fmt.Errorf("%.60q stands for more than %d names", pattern, maxExpansion)
	}
	out := make([]string, 0, len(numbers)*len(tails))
	for _, n := range numbers {
		for _, t := range tails {
			out = append(out, pattern[:open]+n+t)
		}
	}
	return out, nil
}

// maxRanges is more than any naming scheme has.
const maxRanges = 8

// maxDigits is wide enough for every number that is accepted.
const maxDigits = 10

func expandNumbers(list string) ([]string, error) {
	var out []string
	for part := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		lo, err1 := strconv.ParseUint(first, 10, 32)
		hi, err2 := strconv.ParseUint(last, 10, 32)
		if err1 != nil || err2 != nil {
			return nil, fmt.Errorf("[%.40s] is not a range of numbers: write [0001-0512]", list)
		}
		if hi < lo {
			return nil, fmt.Errorf("[%.40s] runs backwards", list)
		}
		if len(first) > maxDigits {
			return nil, fmt.Errorf("[%.40s] has a number of more than %d digits", list, maxDigits)
		}
		if hi-lo >= maxExpansion || len(out) >= maxExpansion {
			return nil, fmt.Errorf("[%.40s] stands for more than %d names", list, maxExpansion)
		}
		for n := lo; n <= hi; n++ {
			out = append(out, fmt.Sprintf("%0*d", len(first), n))
		}
	}
	return out, nil
}
