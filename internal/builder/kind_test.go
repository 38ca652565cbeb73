package builder_test

import (
	"testing"

	"sluice/internal/builder"
	"sluice/internal/builder/buildertest"
)

func TestTitles(t *testing.T) {
	kinds := buildertest.Kinds(t)
	for want, some := range map[string]func(*builder.Kind) bool{
		"":                                 func(*builder.Kind) bool { return false },
		"Langflow":                         func(k *builder.Kind) bool { return k.Accounts != nil },
		"Demo builder or Web app":          func(k *builder.Kind) bool { return k.BuiltIn || k.Fallback },
		"Demo builder, Flowise or Web app": func(k *builder.Kind) bool { return k.Accounts == nil },
	} {
		if got := kinds.Titles(some); got != want {
			t.Errorf("Titles gives %q, want %q", got, want)
		}
	}
	if got := kinds.Products(); got != "Flowise or Langflow" {
		t.Errorf("Products returns %q, want neither Sluice's own builder nor the fallback", got)
	}
}
