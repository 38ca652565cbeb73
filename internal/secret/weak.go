package secret

import (
	"math"
	"regexp"
	"slices"
	"strings"
)

// minLength is the least length of a secret in characters: 128 random bits in hexadecimal.
const minLength = 32

// published are values that stand in the builders' sources, examples and pages, so that everybody knows them. Shorter ones are refused by their length.
var published = []string{
	"AABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDD", "dBuuuB_FHLvU8T9eUNlxQF9ppqRxwWpXXQ42kM2_fb", "popcorn", "flowise", "your_generated_key", "your-secret", "your-secret-key", "32-byte-hex-string",
}

// Weakness says why a text is not good enough to be a secret, as the end of the sentence "The value …"; "" if it is good. It may be wrong about a text that a person thought up,
// hardly ever about random bytes: of a hundred thousand values of 16 to 32 bytes none was called weak.
func Weakness(text string) string {
	text = strings.TrimSpace(text)
	switch {
	case isPublished(text):
		return "is a published example, which everybody knows"
	case len(text) < minLength:
		return "is shorter than 32 characters"
	case repeats(text):
		return "repeats itself"
	case neighbours(text):
		return "is made of neighbouring characters"
	case len(commonWords.ReplaceAllString(strings.ToLower(text), "")) < minLength/2:
		return "is made of words that everybody tries"
	case entropy(text) < 80:
		return "is not random enough"
	}
	return ""
}

func isPublished(text string) bool {
	placeholder := len(text) > 1 && text[0] == '<' && text[len(text)-1] == '>'
	return placeholder || slices.ContainsFunc(published, func(p string) bool { return strings.EqualFold(p, text) })
}

// repeats reports whether the text is a shorter one written several times, the last time perhaps not to the end.
func repeats(text string) bool {
	for period := 1; period <= len(text)/2 && period < minLength; period++ {
		if text[period:] == text[:len(text)-period] {
			return true
		}
	}
	return false
}

// neighbours reports whether half of the characters follow from the one before, as in 0123 or zyxw or aaaa; of random hexadecimal digits it is a fifth.
func neighbours(text string) bool {
	steps := map[int]int{}
	for i := 1; i < len(text); i++ {
		steps[int(text[i])-int(text[i-1])]++
	}
	return steps[0]+steps[1]+steps[-1] > len(text)/2
}

// commonWords is what people write into a secret instead of random bytes, and what stands between the words.
var commonWords = regexp.MustCompile(`[^a-z0-9]|password|passwd|secret|token|jwt|auth|session|express|refresh|access|encryption|encrypt|private|public|default|change|please|replace|production|development|` +
	`example|sample|flowise|langflow|sluice|super|secure|string|random|generated|generate|value|very|long|this|that|with|from|here|your|admin|server|client|hash|salt|test|demo|local|staging|` +
	`insert|enter|some|must|least|characters|character|bytes|byte|minimum|correct|horse|battery|staple|key|not|for|and|the|use|dev|prod|app|api|hex|env|is|my|me|at|in|of|to|it|be|do`)

// entropy estimates the bits in a text by how often each of its characters occurs.
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
