package guards

import "testing"

func TestHostPath_NotAnUpload(t *testing.T) {
	for path, want := range map[string]bool{
		"":                     false,
		"a":                    false,
		"folder/name.txt":      false,
		"folder/a..b":          false,
		"folder/10:15.png":     false,
		"/etc/passwd":          true,
		"~":                    true,
		"folder/~x":            true,
		`folder\x`:             true,
		"folder/a\x00":         true,
		"s3://bucket/key":      true,
		"C:":                   true,
		"C:x":                  true,
		"folder//name":         true,
		"folder/":              true,
		"./name":               true,
		"folder/./name":        true,
		"..":                   true,
		"folder/../../x":       true,
		"folder/name/..":       true,
		"folder/...":           false,
		"folder/.hidden":       false,
		"folder/name/and/more": false,
	} {
		if got := hostPath(path); got != want {
			t.Errorf("%q: %v, want %v", path, got, want)
		}
	}
}
