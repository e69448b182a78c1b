package site

import "strings"

// Nearest finds the known word that somebody may have meant by word: at most
// two letters away, and fewer than it has.
func Nearest(word string, known []string) (string, bool) {
	word = strings.ToLower(word)
	best, least := "", 3
	for _, k := range known {
		if n := letters(word, k); n < least && n < len(k) {
			best, least = k, n
		}
	}
	return best, best != ""
}

// letters counts those to insert, remove or replace (Levenshtein distance).
func letters(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
