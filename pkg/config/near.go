package config

// Closest gives the one of words that was most likely meant by word, or "" when none is near: at most
// two typing errors (a letter wrong, missing, added, or two neighbours swapped), fewer in short words.
func Closest(word string, words []string) string {
	best, bound := "", min(2, (len(word)+1)/3)
	for _, w := range words {
		if d := distance(word, w); d <= bound {
			best, bound = w, d-1
		}
	}
	return best
}

// distance counts the typing errors between a and b, in bytes (optimal string alignment).
func distance(a, b string) int {
	prev2, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], prev2[j-2]+1)
			}
		}
		prev2, prev, row = prev, row, prev2
	}
	return prev[len(b)]
}
