package identity

// metric is a notion of which characters are neighbors: the alphabet, or a keyboard.
type metric int

const (
	alphabet metric = iota
	qwerty
	qwertz
	azerty
	dvorak
	keypad
	metrics
)

// keyboards are the rows of keys from top to bottom, and then the first row with Shift. A blank
// fills a place without a key.
var keyboards = [metrics][]string{
	qwerty: {"`1234567890-=", " qwertyuiop[]", " asdfghjkl;'", " zxcvbnm,./", "~!@#$%^&*()_+"},
	qwertz: {"^1234567890ß´", " qwertzuiopü+", " asdfghjklöä#", " yxcvbnm,.-", `°!"§$%&/()=?`},
	azerty: {"²&é\"'(-è_çà)=", " azertyuiop^$", " qsdfghjklmù*", " wxcvbn,;:!", " 1234567890°+"},
	dvorak: {"`1234567890[]", " ',.pyfgcrl/=", " aoeuidhtns-", " ;qjkxbmwvz", "~!@#$%^&*(){}"},
	keypad: {"789", "456", "123", "0"},
}

// shiftedRow is the index of the row that shares its keys with the first one.
const shiftedRow = 4

// move is the way from one character to another: keys to the right and rows down, or letters
// forward.
type move struct{ across, down int }

// small reports whether a guesser would try the move: to the next key or letter. A repetition after
// more than one character may go one key further, because a walk down one column and up the next
// moves by two.
func (m move) small(distance int) bool {
	reach := 1
	if distance > 1 {
		reach = 2
	}
	return m != move{} && -reach <= m.across && m.across <= reach && -1 <= m.down && m.down <= 1
}

// place is the position of a character on a keyboard, if it has one.
type place struct {
	across, down int
	known        bool
}

// findKeys looks up the text's characters on every keyboard.
func (s *solver) findKeys() {
	for m := qwerty; m < metrics; m++ {
		for i, r := range s.text {
			s.keys[m][i] = m.find(r)
		}
	}
}

// between is the move from one position of the text to another. ok is false if a character has no
// place.
func (s *solver) between(m metric, from, to int) (mv move, ok bool) {
	if m == alphabet {
		return alphabetMove(s.text[from], s.text[to])
	}
	a, b := s.keys[m][from], s.keys[m][to]
	return move{b.across - a.across, b.down - a.down}, a.known && b.known
}

// alphabetMove is the move from a letter or digit to another. After 9 comes 0, and after z comes a.
func alphabetMove(a, b rune) (move, bool) {
	switch {
	case a == '9' && b == '0', a == 'z' && b == 'a':
		return move{across: 1}, true
	case a == '0' && b == '9', a == 'a' && b == 'z':
		return move{across: -1}, true
	case a <= ' ' || b <= ' ' || isDigit(a) != isDigit(b):
		return move{}, false
	}
	return move{across: int(b - a)}, true
}

// find returns the place of a character.
func (m metric) find(r rune) place {
	for down, row := range keyboards[m] {
		across := 0
		for _, c := range row {
			if c == r {
				return place{across, down % shiftedRow, true}
			}
			across++
		}
	}
	return place{}
}
