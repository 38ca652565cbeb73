package identity

import (
	_ "embed"
	"strings"
)

// words are passwords, words and names that guessers try, sorted, one per line: the word, a blank,
// and its cost in bits as a hexadecimal digit (the logarithm of its rank among its kind). The text
// is searched in place, so it costs neither time nor memory until a password is set. NOTICE names
// its sources.
//
//go:embed words.txt
var words string

const (
	// shortestReversed is the minimum length of a word that is also looked for backwards.
	shortestReversed = 4
	// maxNarrowings bounds the work at one position of a text in which many digits and symbols
	// replace letters.
	maxNarrowings = 256
)

// eachWord calls found with the length and the cost of every word that the text begins with.
func eachWord(text []rune, found func(length, cost int)) {
	l := lookup{text: text, found: found, left: maxNarrowings}
	l.descend(0, len(words), 0, 0)
}

type lookup struct {
	text  []rune
	found func(length, cost int)
	left  int
}

// descend searches the lines from lo to hi, which all begin with the first depth characters of the
// text in one reading. extra is the cost of that reading.
func (l *lookup) descend(lo, hi, depth, extra int) {
	if lo == hi {
		return
	}
	if depth > 0 && words[lo+depth] == ' ' {
		l.found(depth, hexDigit(words[lo+depth+1])+extra)
	}
	if depth == len(l.text) {
		return
	}
	if r := l.text[depth]; r > ' ' && r < 0x80 {
		l.narrow(lo, hi, depth, byte(r), extra)
	}
	for _, letter := range replaced(l.text[depth]) {
		l.narrow(lo, hi, depth, byte(letter), costReplaced)
	}
}

// narrow continues with the lines whose next character is c.
func (l *lookup) narrow(lo, hi, depth int, c byte, extra int) {
	if l.left == 0 {
		return
	}
	l.left--
	lo = firstLine(lo, hi, depth, c)
	l.descend(lo, firstLine(lo, hi, depth, c+1), depth+1, extra)
}

// firstLine returns the start of the first line from lo to hi whose character at depth is c or
// greater, or hi if no line matches.
func firstLine(lo, hi, depth int, c byte) int {
	for lo < hi {
		middle := lo + (hi-lo)/2
		start := lo + strings.LastIndexByte(words[lo:middle], '\n') + 1
		if words[start+depth] < c {
			lo = start + strings.IndexByte(words[start:hi], '\n') + 1
		} else {
			hi = start
		}
	}
	return lo
}

func hexDigit(c byte) int {
	if c >= 'a' {
		return int(c-'a') + 10
	}
	return int(c - '0')
}
