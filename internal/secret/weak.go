package secret

import (
	"math"
	"regexp"
	"slices"
	"strings"
)

// minLength is the minimum length of a secret in characters: 128 random bits in hexadecimal.
const minLength = 32

// published are values in the builders' sources, examples and pages, so everyone knows them.
// Shorter ones are refused because of their length.
var published = []string{
	"AABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDD", "dBuuuB_FHLvU8T9eUNlxQF9ppqRxwWpXXQ42kM2_fb", "popcorn", "flowise",
	"your_generated_key", "your-secret", "your-secret-key", "32-byte-hex-string",
}

// Weakness returns why a text is not good enough as a secret, as the end of the sentence "The value
// …", or "" if it is good. It may be wrong about a text that a person thought up, but hardly ever
// about random bytes: it called none of a hundred thousand values of 16 to 32 bytes weak.
func Weakness(text string) string {
	text = strings.TrimSpace(text)
	switch {
	case isPublished(text):
		return "is a published example"
	case len(text) < minLength:
		return "is shorter than 32 characters"
	case repeats(text):
		return "repeats itself"
	case neighbours(text):
		return "consists of neighboring characters"
	case len(commonWords.ReplaceAllString(strings.ToLower(text), "")) < minLength/2:
		return "consists of commonly guessed words"
	case entropy(text) < 80:
		return "is not random enough"
	}
	return ""
}

func isPublished(text string) bool {
	placeholder := len(text) > 1 && text[0] == '<' && text[len(text)-1] == '>'
	return placeholder || slices.ContainsFunc(published, func(p string) bool { return strings.EqualFold(p, text) })
}

// repeats reports whether the text is a shorter one repeated several times, the last time perhaps
// only in part.
func repeats(text string) bool {
	for period := 1; period <= len(text)/2 && period < minLength; period++ {
		if text[period:] == text[:len(text)-period] {
			return true
		}
	}
	return false
}

// neighbours reports whether half of the characters follow from the previous one, as in 0123 or
// zyxw or aaaa. In random hexadecimal digits a fifth do.
func neighbours(text string) bool {
	steps := map[int]int{}
	for i := 1; i < len(text); i++ {
		steps[int(text[i])-int(text[i-1])]++
	}
	return steps[0]+steps[1]+steps[-1] > len(text)/2
}

// commonWords are words that people put into a secret instead of random bytes, and the characters
// between them.
var commonWords = regexp.MustCompile(
	`[^a-z0-9]|password|passwd|secret|token|jwt|auth|session|express|refresh|access|encryption|encrypt|private|public|default|change|please|replace|production|development|` +
		`example|sample|flowise|langflow|sluice|super|secure|string|random|generated|generate|value|very|long|this|that|with|from|here|your|admin|server|client|hash|salt|test|demo|local|staging|` +
		`insert|enter|some|must|least|characters|character|bytes|byte|minimum|correct|horse|battery|staple|key|not|for|and|the|use|dev|prod|app|api|hex|env|is|my|me|at|in|of|to|it|be|do`,
)

// entropy estimates the bits in a text from the frequency of its characters.
func entropy(text string) (bits float64) {
	counts := map[byte]int{}
	for i := range len(text) {
		counts[text[i]]++
	}
	for _, n := range counts {
		p := float64(n) / float64(len(text))
		bits -= float64(n) * math.Log2(p)
	}
	return bits
}
