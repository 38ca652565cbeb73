package console

import (
	"strconv"
	"strings"

	"sluice/internal/builder"
	"sluice/internal/web"
)

// flowsText describes which flows use a copy.
func (c copyView) flowsText() string {
	switch {
	case !c.FlowsKnown:
		return "The app did not report which flows use it."
	case len(c.Flows) == 0:
		return "No flow of this workspace uses it."
	case len(c.Flows) > 5:
		return "Used by " + strings.Join(c.Flows[:5], ", ") + " and " + web.Count(len(c.Flows)-5, "more flow") + "."
	}
	return "Used by " + strings.Join(c.Flows, ", ") + "."
}

func (v credentialPageView) deleteCall() string {
	if len(v.Copies) > 0 {
		return v.call("?withdraw=true")
	}
	return v.call("")
}

func ordinal(i int) string { return strconv.Itoa(i + 1) }

// freePlaceholder shows an example of a name in the first row.
func freePlaceholder(i int) string {
	if i == 0 {
		return "openAIApiKey"
	}
	return "Name of the field"
}

// fieldDefault is the initial value of a field; secrets have none.
func fieldDefault(f builder.CredentialField) string {
	if f.Secret {
		return ""
	}
	return f.Default
}

// fieldOptions are the choices of a field; an optional one can be left out.
func fieldOptions(f builder.CredentialField) []web.Option {
	var out []web.Option
	if f.Optional {
		out = append(out, web.Option{Label: "Not set"})
	}
	for _, o := range f.Options {
		out = append(out, web.Option{Value: o, Label: o})
	}
	return out
}
