package database

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"sluice/internal/problem"
)

// From CPython 3.11: random.seed(text), 32 times getrandbits(8).
func TestPythonRandomBytes(t *testing.T) {
	for text, want := range map[string]string{
		"shortkey123":           "qeA9wdDv6i0_4s4YpmYkg7mByqBIVqF5L8On7wINNmo=",
		"somesecretkey":         "wdkBj4qhOskxkIjeBNmeRmwNlCGxgAMbg_LFVk5dFck=",
		"a":                     "RYERm5mvpIgs4JcZjmL4tuHPAeZIQ5dNDsX2zfT9Cmo=",
		"\u00e9t\u00e9":         "lv3kCm2PNYK8oEzl_V4cb1lT6qgBAM2wPqEIbyEDvE0=",
		strings.Repeat("x", 31): "X3VIOIhxwJf7tdNvF6rO7N7kuUMn719jQSQjxj9DWqk=",
		"\x00z":                 "9Vx6s8OyRlsu8nmRwWDYr7zpBSAbmtjx2hW8juQpmeQ=",
	} {
		got := pythonRandomBytes(text)
		if key := base64.URLEncoding.EncodeToString(got[:]); key != want {
			t.Errorf("%q: %s, want %s", text, key, want)
		}
	}
}

// From Python's cryptography 48.0 with the three keys that Langflow derives.
const (
	longToken   = "gAAAAABlU_EAQAXZQK8A8EsZXQi9plUFfn_rnuKRoNFLtnQshoJ6Mz-GrZ-_huymfb5Sk5x64oqw8M_enhgISdfjSfIGByMY2A=="
	hashedToken = "gAAAAABlU_EARzAXuSHwyaXa72_w8bVR2zINIJpFbHnqpepRbrkilzTMdmkYHqSZjoYI_4A_7gfh0DsPuQdEFC1c5BdFEi8I5Q=="
	seededToken = "gAAAAABlU_EAt90x510b-0v-mK3Zb03SZDX_RQQm5-ByVON9PtDyM3TKKsw2QQhkxGptXSGtBXWfqd0XbPCc4aUpicZY3R7uSw=="
)

func TestKeys_Open(t *testing.T) {
	const long = "dBuuuB_FHLvU8T9eUNlxQF9ppqRxwWpXXQ42kM2_fbQ"
	for name, c := range map[string]struct{ secret, token, want string }{
		"32 bytes":               {long, longToken, "sk-long"},
		"32 bytes and an accent": {long + "\u00e9", longToken, "sk-long"},
		"text behind a padding":  {long + "=tail", longToken, "sk-long"},
		"hashed":                 {"shortkey123", hashedToken, "sk-hashed"},
		"seeded":                 {"shortkey123", seededToken, "sk-seeded"},
		"plaintext":              {"shortkey123", "sk-plain", "sk-plain"},
	} {
		keys, err := NewKeys(c.secret)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := keys.Open(c.token); err != nil || got != c.want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
	}
	other, err := NewKeys("anotherkey")
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{hashedToken, "gAAAAA", "gAAAAAB", "gAAAAA====", hashedToken[:60]} {
		if got, err := other.Open(token); !problem.Is(err, problem.Invalid) || got != "" {
			t.Errorf("another key opens %q as %q, %v", token, got, err)
		}
	}
}

func TestKeys_Unusable(t *testing.T) {
	for name, secret := range map[string]string{
		"nothing":                   "",
		"the page's own sample":     "dBuuuB_FHLvU8T9eUNlxQF9ppqRxwWpXXQ42kM2_fb",
		"openssl rand -hex 16":      strings.Repeat("0f", 16),
		"openssl rand -hex 32":      strings.Repeat("0f", 32),
		"32 characters of no bytes": strings.Repeat("!", 32),
		"one character too many":    strings.Repeat("A", 45),
	} {
		_, err := NewKeys(secret)
		if p := problem.Of(err); p.Kind != problem.Invalid || p.Field != "LANGFLOW_SECRET_KEY" || p.Next == "" {
			t.Errorf("%s: %v", name, err)
		}
		if secret != "" && err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error shows the key", name)
		}
	}
}

func TestKeys_Trouble(t *testing.T) {
	for name, c := range map[string]struct{ secret, want string }{
		"not set":       {"", ""},
		"a placeholder": {"<your key>", ""},
		"32 bytes":      {"dBuuuB_FHLvU8T9eUNlxQF9ppqRxwWpXXQ42kM2_fbQ", ""},
		"the page's own sample": {"dBuuuB_FHLvU8T9eUNlxQF9ppqRxwWpXXQ42kM2_fb", "42 characters decode to 31 " +
			"bytes"},
		"31 characters":            {strings.Repeat("x", 31), "so few characters (31) can be guessed"},
		"32 characters":            {strings.Repeat("x", 32), "32 characters decode to 24 bytes"},
		"characters of no bytes":   {strings.Repeat("!", 32), "32 characters decode to nothing"},
		"one character in surplus": {strings.Repeat("A", 45), "45 characters decode to nothing"},
	} {
		got := KeyTrouble(c.secret)
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if _, err := NewKeys(c.secret); strings.Contains(got, "cannot encrypt") != (err != nil) && c.secret != "" {
			t.Errorf("%s: %q, but NewKeys says %v", name, got, err)
		}
	}
}

// pythonDecodes prints, as a JSON list, what Python makes of each text of a JSON list on its input:
// hexadecimal, or null where it fails.
const pythonDecodes = `
import base64, json, sys
def decode(text):
    try:
        return base64.urlsafe_b64decode((text + "=" * (4 - len(text) % 4)).encode()).hex()
    except Exception:
        return None
print(json.dumps([decode(text) for text in json.load(sys.stdin)]))`

func TestDecodeLikePython_SameAsPython(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil && os.Getenv("SLUICEDEV_MOTO") == "require" {
		t.Fatal("python3 is missing, which the stand-in for AWS needs too")
	}
	if err != nil {
		t.Skip("python3 is not installed")
	}
	random, alphabet := rand.New(rand.NewPCG(7, 7)), []rune("AZaz09-_+/=!\u00e9")
	texts := make([]string, 2000)
	for i := range texts {
		text := make([]rune, 1+random.IntN(50))
		for j := range text {
			text[j] = alphabet[random.IntN(len(alphabet))]
		}
		texts[i] = string(text)
	}
	in, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	run := exec.Command(python, "-c", pythonDecodes)
	run.Stdin = bytes.NewReader(in)
	out, err := run.Output()
	if err != nil {
		t.Fatal(err)
	}
	var want []*string
	if err := json.Unmarshal(out, &want); err != nil || len(want) != len(texts) {
		t.Fatalf("%d answers to %d texts, %v", len(want), len(texts), err)
	}
	decodable := 0
	for i, text := range texts {
		got := decodeLikePython(text)
		if want[i] == nil && got != nil || want[i] != nil && hex.EncodeToString(got) != *want[i] {
			t.Errorf("%q: %x", text, got)
		}
		if want[i] != nil {
			decodable++
		}
	}
	if decodable < len(texts)/10 || decodable == len(texts) {
		t.Errorf("Python decodes %d of %d: the texts are no test", decodable, len(texts))
	}
}

func FuzzKeys(f *testing.F) {
	f.Add("shortkey123", hashedToken)
	f.Add(strings.Repeat("A", 43), "gAAAAAB")
	f.Add("\xff=-_", "gAAAAA\x00")
	f.Fuzz(func(t *testing.T, secret, token string) {
		keys, err := NewKeys(secret)
		if err != nil {
			return
		}
		if got, err := keys.Open(token); err != nil && got != "" {
			t.Errorf("an error and a value: %q", got)
		}
	})
}
