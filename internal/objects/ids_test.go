package objects

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
)

const someID = "f0e1d2c3-b4a5-4697-8879-6a5b4c3d2e1f"

func found(text string) (ids []string, deep bool) {
	deep = EachUUID([]byte(text), func(id [16]byte) bool {
		if s := uuid.UUID(id).String(); len(ids) == 0 || ids[len(ids)-1] != s {
			ids = append(ids, s)
		}
		return true
	})
	return ids, deep
}

func TestIDs_Spellings(t *testing.T) {
	nested := someID
	for range 6 {
		b, err := json.Marshal(map[string]string{"x": nested})
		if err != nil {
			t.Fatal(err)
		}
		nested = string(b)
	}
	escaped := ""
	for _, c := range someID {
		escaped += fmt.Sprintf(`\u%04X`, c)
	}
	for name, text := range map[string]string{
		"as it is": someID, "in JSON": `{"a":["` + someID +
			`"]}`, "upper case": strings.ToUpper(someID), "without hyphens": strings.ReplaceAll(someID, "-", ""),
		"in braces": "{" + someID +
			"}", "hyphens elsewhere": "f0e1-d2c3-b4a5-4697-8879-6a5b-4c3d-2e1f", "with a name": someID +
			":my store", "after more hex": "abc-" + someID,
		"before more hex": someID + "-ff", "six levels of JSON": nested, "escaped": `"` + escaped +
			`"`, "one letter escaped": `"\u0066` + someID[1:] + `"`,
		"an escaped backslash": `"\\u0066` + someID[1:] + `"`, "a backslash by its number": `"\u005cu0066` +
			someID[1:] + `"`, "after a string that ends in a backslash": `["x\\","` + someID + `"]`,
		"in a form": "a=1&id=" + someID + "&b=2",
	} {
		if ids, deep := found(text); deep || len(ids) == 0 || ids[len(ids)-1] != someID {
			t.Errorf("%s: found %v, %v in %s", name, ids, deep, text)
		}
	}
	for name, text := range map[string]string{
		"a digit short": someID[1:], "another letter": "g" +
			someID[1:], "sixty-four digits": strings.Repeat("ab",
			32), "no text": "", "an escape in the middle of nothing": `\`,
		"a broken escape": `\u00`, "a path of Windows": `C:\\dir\\x`,
	} {
		if ids, _ := found(text); len(ids) != 0 {
			t.Errorf("%s: found %v", name, ids)
		}
	}
	if _, deep := found(strings.Repeat(`\`, 1<<14)); !deep {
		t.Error("endless escapes are not noticed")
	}
	if _, deep := found(`"` + strings.Repeat(`\u005c`, 40) + `"`); deep {
		t.Error("forty backslashes are too many")
	}
}

func TestIDs_FirstHit(t *testing.T) {
	n := 0
	EachUUID([]byte(someID+" "+uuid.NewString()+`\\`), func([16]byte) bool { n++; return false })
	if n != 1 {
		t.Errorf("%d calls", n)
	}
}

func TestPlainUUID_IsTheFormThatBuildersGiveOut(t *testing.T) {
	for text, want := range map[string]bool{
		someID:                               true,
		strings.ToUpper(someID):              true,
		strings.ReplaceAll(someID, "-", ""):  false,
		"{" + someID + "}":                   false,
		"urn:uuid:" + someID:                 false,
		someID[1:]:                           false,
		someID + "0":                         false,
		"g" + someID[1:]:                     false,
		strings.ReplaceAll(someID, "-", "0"): false,
		"":                                   false,
	} {
		if got := PlainUUID(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestReadUUID_ReadsWhatPythonTakesForOne(t *testing.T) {
	plain := strings.ReplaceAll(someID, "-", "")
	for text, want := range map[string]bool{
		someID:                      true,
		strings.ToUpper(someID):     true,
		plain:                       true,
		"{" + someID + "}":          true,
		"urn:uuid:" + someID:        true,
		plain[:3] + "-" + plain[3:]: true,
		plain[1:]:                   false,
		plain[2:]:                   false,
		plain + "00":                false,
		"g" + plain[1:]:             false,
		"sales":                     false,
		"":                          false,
	} {
		id, ok := ReadUUID(text)
		if ok != want || ok && id != someID || !ok && id != "" {
			t.Errorf("%q is read as %q, %v", text, id, ok)
		}
	}
}

// FuzzNestedIds hides an id in JSON inside JSON, beside any text: it must be found on the way to
// every level that a builder could decode.
func FuzzNestedIds(f *testing.F) {
	f.Add("x", 1)
	f.Add(`\`, 3)
	f.Add(`"\u005c`, 5)
	f.Add("\xff\x00é😀", 2)
	f.Fuzz(func(t *testing.T, beside string, levels int) {
		text := someID
		for range min(max(levels, 0), 5) {
			b, err := json.Marshal([]string{beside, text, beside})
			if err != nil {
				t.Fatal(err)
			}
			text = string(b)
		}
		hit := false
		deep := EachUUID([]byte(text), func(id [16]byte) bool { hit = uuid.UUID(id).String() == someID; return !hit })
		if !hit && !deep {
			t.Errorf("not found in %s", text)
		}
	})
}
