//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

func TestMain(m *testing.M) {
	if err := os.RemoveAll(shotsDir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if chromeStarted.Load() {
		if browser, err := chrome(); err == nil {
			_ = chromedp.Cancel(browser) // closes the browser and removes its profiles
		}
	}
	if sluiceBuilt.Load() {
		if binary, err := buildSluice(); err == nil {
			_ = os.RemoveAll(filepath.Dir(binary))
		}
	}
	os.Exit(code)
}
