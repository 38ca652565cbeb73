package config

import "strings"

// suggestion returns the declared name nearest to a misspelled one, or "" if no name is near.
func suggestion(name string) string {
	upper := strings.ToUpper(name)
	if bare := strings.TrimPrefix(upper, sluicePrefix); bare != upper {
		if _, ok := lookup(bare); ok {
			return bare
		}
	}
	suffix := ""
	if stem, ok := strings.CutSuffix(upper, fileSuffix); ok {
		upper, suffix = stem, fileSuffix
	}
	best, bestDistance := "", 1+min(3, len(upper)/4)
	for i := range registry {
		for _, known := range registry[i].names() {
			if d := distance(upper, known, bestDistance); d < bestDistance {
				best, bestDistance = known, d
			}
		}
	}
	if best == "" {
		return ""
	}
	return best + suffix
}

// distance is the number of single-letter edits and swaps of neighbors between a and b (optimal
// string alignment), or limit if the number is certain to reach it.
func distance(a, b string, limit int) int {
	if max(len(a), len(b))-min(len(a), len(b)) >= limit {
		return limit
	}
	before, previous, current := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := 1; i <= len(a); i++ {
		current[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			current[j] = min(previous[j]+1, current[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				current[j] = min(current[j], before[j-2]+1)
			}
		}
		before, previous, current = previous, current, before
	}
	return min(previous[len(b)], limit)
}
