package identity

import (
	_ "embed"
	"math/bits"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// A guesser does not try passwords letter by letter but joins pieces that people use: known
// passwords, words and names in order of their frequency, repetitions, sequences, walks over the
// keyboard, dates. guessable finds the cheapest way to build a password from such pieces. Each
// piece costs bits, the logarithm of the number of guesses that it takes; the strength of the
// password is their sum. The costs never exceed those of zxcvbn, the estimator that this check
// replaced.
const (
	// enough is the least sum in bits at which a password is accepted: 2^35 guesses, which zxcvbn
	// scores 3 of 4.
	enough = 35
	// looked is how many characters are examined. More characters never make a password easier to
	// guess.
	looked = 128

	costDigit    = 3
	costLetter   = 4
	costSymbol   = 3
	costMixed    = 5  // a letter or digit of a text that has both, or a character that is not ASCII
	costStep     = 2  // to a neighboring key
	costSame     = 2  // the same character again, any number of times
	costCopy     = 4  // a repetition of earlier text, also backwards
	costShifted  = 5  // a repetition moved by one: the next row, column, or letter of the alphabet
	costName     = 2  // a name that the guesser knows
	costYear     = 6  // 1900 to 2099
	costDate     = 13 // day, month and year
	costReversed = 1  // on top of a word's own
	costReplaced = 1  // on top of a word's own, for digits and symbols in place of letters
	costGap      = 2  // separators that do not separate words
	costWord     = 4  // separators, for each further different word that they separate
	maxGaps      = 16 // the most that all separators can cost together

	// longestPeriod is the longest distance at which a shifted copy is looked for: 1qaz2wsx has 4,
	// 1q2w3e has 2.
	longestPeriod = 8
	// shortest is the minimum length of a word between separators, a name, or a repetition.
	shortest = 3
	// maxNames bounds the number of names to look for.
	maxNames = 64
)

// piece is a kind of part that passwords are built from.
type piece uint8

const (
	pieceOwn piece = iota
	pieceWord
	pieceName
	pieceCopy
	pieceWalk
	pieceSequence
	pieceDate
	pieces
)

// pieceNames complete the sentence "it consists of ...".
var pieceNames = [pieces]string{
	pieceOwn:      "too few different characters",
	pieceWord:     "common passwords or words",
	pieceName:     "names that belong to you or to this installation",
	pieceCopy:     "repetition",
	pieceWalk:     "neighboring keys",
	pieceSequence: "a sequence",
	pieceDate:     "dates",
}

// guessable returns the kinds of pieces in an easily guessed password, the largest share first. An
// empty list means that the password is good enough.
func guessable(password string, names []string) []string {
	text, gaps := simplify(password)
	text = text[:min(len(text), looked)]
	s := solver{text: text}
	s.mixed = slices.ContainsFunc(text, isDigit) && slices.ContainsFunc(text, unicode.IsLetter)
	s.findKeys()
	s.findWords()
	s.findNames(names)
	if s.solve()+gaps >= enough {
		return nil
	}
	return s.explain()
}

// simplify lower-cases a text, removes accents from its letters, and drops separators. gaps is the
// cost of the separators.
func simplify(s string) (text []rune, gaps int) {
	var parts []string
	start := 0
	end := func() {
		word := string(text[start:])
		if len(text)-start >= shortest && len(parts) <= maxGaps && !slices.Contains(parts, word) {
			parts = append(parts, word)
		}
		start = len(text)
	}
	for _, r := range norm.NFKD.String(s) {
		switch {
		case unicode.Is(unicode.Mn, r), unicode.Is(unicode.Cf, r):
		case unicode.IsSpace(r), strings.ContainsRune(`-_.,;:/\'"`, r):
			end()
			gaps = costGap
		default:
			text = append(text, unicode.ToLower(r))
		}
	}
	end()
	return text, min(max(gaps, costWord*(len(parts)-1)), maxGaps)
}

// solver finds the cheapest way through a text, working backwards.
type solver struct {
	text []rune
	// mixed reports whether the text has letters and digits, so that a guesser has to try both at
	// every place.
	mixed bool
	// found are the words and names that begin at each position.
	found [looked][]foundWord
	// best is the cost of the text from a position on, next the piece that it begins with.
	best [looked + 1]int
	next [looked]step
	// keys are the places of the characters on each keyboard.
	keys [metrics][looked]place
	// same is the length for which the text from the current position on repeats the text at a
	// distance before it. shifted is the same for a repetition moved by one.
	same    [looked]int
	shifted [metrics][longestPeriod + 1]run
}

type foundWord struct {
	end, cost int
	kind      piece
}

type step struct {
	end  int
	kind piece
}

// run is how far a text continues with the same move.
type run struct {
	length int
	move   move
}

// take records a piece from i to end if it is cheaper than the best known one.
func (s *solver) take(i, end, cost int, kind piece) {
	if cost += s.best[end]; s.next[i].end == 0 || cost < s.best[i] {
		s.best[i], s.next[i] = cost, step{end, kind}
	}
}

// solve returns the cost of the whole text.
func (s *solver) solve() int {
	for i := len(s.text) - 1; i >= 0; i-- {
		s.takeCharacter(i)
		for _, w := range s.found[i] {
			s.take(i, w.end, w.cost, w.kind)
		}
		s.takeCopies(i)
		s.takeSteps(i)
		s.takeShifted(i)
		s.takeDates(i)
	}
	return s.best[0]
}

// explain names the kinds of pieces that make up a fifth of the text or more, the largest share
// first. Single characters are named only if nothing else is.
func (s *solver) explain() []string {
	var share [pieces]int
	for i := 0; i < len(s.text); i = s.next[i].end {
		share[s.next[i].kind] += s.next[i].end - i
	}
	var kinds []piece
	for kind := pieceOwn + 1; kind < pieces; kind++ {
		if share[kind] > 0 && share[kind]*5 >= len(s.text) {
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) == 0 {
		return []string{pieceNames[pieceOwn]}
	}
	slices.SortStableFunc(kinds, func(a, b piece) int { return share[b] - share[a] })
	names := make([]string, len(kinds))
	for i, kind := range kinds {
		names[i] = pieceNames[kind]
	}
	return names
}

func (s *solver) takeCharacter(i int) {
	r := s.text[i]
	cost := costMixed
	switch {
	case s.mixed:
	case isDigit(r):
		cost = costDigit
	case 'a' <= r && r <= 'z':
		cost = costLetter
	case r < unicode.MaxASCII:
		cost = costSymbol
	}
	s.take(i, i+1, cost, pieceOwn)
}

// takeCopies finds repetitions of earlier text, forwards or backwards.
func (s *solver) takeCopies(i int) {
	longest := 0
	for distance := 1; distance <= i; distance++ {
		if s.text[i] != s.text[i-distance] {
			s.same[distance] = 0
			continue
		}
		s.same[distance]++
		longest = max(longest, s.same[distance])
	}
	if i > 0 {
		for end := i + 1; end <= i+s.same[1]; end++ {
			s.take(i, end, costSame, pieceCopy)
		}
	}
	mirrored := 0
	for i+mirrored < len(s.text) && mirrored < i && s.text[i+mirrored] == s.text[i-1-mirrored] {
		mirrored++
	}
	for end := i + shortest; end <= i+max(longest, mirrored); end++ {
		s.take(i, end, costCopy, pieceCopy)
	}
}

// takeSteps finds walks over a keyboard, in any direction, from their second key on.
func (s *solver) takeSteps(i int) {
	for m := qwerty; m < metrics && i > 0; m++ {
		for end := i + 1; end <= len(s.text); end++ {
			if mv, ok := s.between(m, end-2, end-1); !ok || !mv.small(1) {
				break
			}
			if end > i+1 {
				s.take(i, end, costStep*(end-i), pieceWalk)
			}
		}
	}
}

// takeShifted finds repetitions of earlier text, moved by one key, row or letter. At distance 1
// these are sequences and straight walks.
func (s *solver) takeShifted(i int) {
	for m := range metrics {
		for distance := 1; distance <= longestPeriod && distance <= i; distance++ {
			s.extend(&s.shifted[m][distance], m, i, distance)
		}
		kind := pieceWalk
		if m == alphabet {
			kind = pieceSequence
		}
		for distance := 1; distance <= longestPeriod && distance <= i; distance++ {
			for end := i + min(distance+1, shortest); end <= i+s.shifted[m][distance].length; end++ {
				s.take(i, end, costShifted, kind)
			}
		}
	}
	s.takeSequence(i)
}

// extend continues the run that begins at i+1, or begins another.
func (s *solver) extend(r *run, m metric, i, distance int) {
	mv, ok := s.between(m, i-distance, i)
	switch {
	case !ok || !mv.small(distance):
		*r = run{}
	case r.length > 0 && r.move == mv:
		r.length++
	default:
		*r = run{1, mv}
	}
}

// takeSequence finds abc, 321 and similar sequences from their first character on. Those with the
// most common beginnings cost least.
func (s *solver) takeSequence(i int) {
	start := costLetter
	switch r := s.text[i]; {
	case strings.ContainsRune("az019", r):
		start = 1
	case isDigit(r):
		start = costDigit
	}
	var first move
	for end := i + 1; end < len(s.text); end++ {
		mv, ok := alphabetMove(s.text[end-1], s.text[end])
		if !ok || !mv.small(1) || end > i+1 && mv != first {
			return
		}
		first = mv
		if length := end + 1 - i; length >= 3 {
			s.take(i, end+1, start+bits.Len(uint(length))-1, pieceSequence)
		}
	}
}

// takeDates finds years, and dates of six or eight digits in any order.
func (s *solver) takeDates(i int) {
	digits := 0
	for digits < 8 && i+digits < len(s.text) && isDigit(s.text[i+digits]) {
		digits++
	}
	if digits >= 4 && isYear(number(s.text[i:i+4])) {
		s.take(i, i+4, costYear, pieceDate)
	}
	if digits >= 6 && isDate(s.text[i:i+6]) {
		s.take(i, i+6, costDate, pieceDate)
	}
	if digits >= 8 && isDate(s.text[i:i+8]) {
		s.take(i, i+8, costDate, pieceDate)
	}
}

// isDate reports whether digits are a day, a month and a year, in one of the usual orders.
func isDate(digits []rune) bool {
	two := func(at int) int { return number(digits[at : at+2]) }
	dayMonth := func(a, b int) bool { return a >= 1 && b >= 1 && (a <= 31 && b <= 12 || a <= 12 && b <= 31) }
	end := len(digits)
	if end == 6 {
		return dayMonth(two(0), two(2)) || dayMonth(two(2), two(4))
	}
	return dayMonth(two(0), two(2)) && isYear(number(digits[4:])) ||
		isYear(number(digits[:4])) && dayMonth(two(4), two(6))
}

func isYear(n int) bool { return 1900 <= n && n < 2100 }

func isDigit(r rune) bool { return '0' <= r && r <= '9' }

func number(digits []rune) (n int) {
	for _, r := range digits {
		n = n*10 + int(r-'0')
	}
	return n
}

// findNames looks for names that the guesser knows from the person and the installation: each name
// as a whole and each of its words, also with digits and symbols in place of letters, forwards and
// backwards.
func (s *solver) findNames(names []string) {
	var known [][]rune
	for _, name := range names[:min(len(names), maxNames)] {
		known = append(known, nameParts(name)...)
	}
	for _, name := range known {
		for i := 0; i+len(name) <= len(s.text); i++ {
			end := i + len(name)
			if sounds(s.text[i:end], name) {
				s.found[i] = append(s.found[i], foundWord{end, costName, pieceName})
			}
			slices.Reverse(name)
			if sounds(s.text[i:end], name) {
				s.found[i] = append(s.found[i], foundWord{end, costName + costReversed, pieceName})
			}
			slices.Reverse(name)
		}
	}
}

// nameParts returns a name without its separators, and its parts.
func nameParts(name string) (parts [][]rune) {
	add := func(s string) {
		part, _ := simplify(s)
		if len(part) >= shortest && len(part) <= looked {
			parts = append(parts, part)
		}
	}
	add(name)
	fields := strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	if len(fields) > 1 {
		for _, field := range fields {
			add(field)
		}
	}
	return parts
}

// sounds reports whether a text can be read as a name.
func sounds(text, name []rune) bool {
	for i, r := range text {
		if r != name[i] && !strings.ContainsRune(replaced(r), name[i]) {
			return false
		}
	}
	return true
}

// replaced returns the letters that a digit or symbol can replace.
func replaced(r rune) string {
	switch r {
	case '4', '@':
		return "a"
	case '8':
		return "b"
	case '(', '{', '[', '<':
		return "c"
	case '3', '€':
		return "e"
	case '6', '9':
		return "g"
	case '#':
		return "h"
	case '1', '|':
		return "il"
	case '!', '¡':
		return "i"
	case '7':
		return "lt"
	case '0':
		return "o"
	case '$', '5':
		return "s"
	case '+':
		return "t"
	case '%':
		return "x"
	case '2':
		return "z"
	}
	return ""
}

// findWords looks for words at every position, forwards and backwards.
func (s *solver) findWords() {
	n := len(s.text)
	reversed := slices.Clone(s.text)
	slices.Reverse(reversed)
	for i := range n {
		eachWord(s.text[i:], func(length, cost int) {
			s.found[i] = append(s.found[i], foundWord{i + length, cost, pieceWord})
		})
		eachWord(reversed[i:], func(length, cost int) {
			if length >= shortestReversed {
				start := n - i - length
				s.found[start] = append(s.found[start], foundWord{n - i, cost + costReversed, pieceWord})
			}
		})
	}
}
