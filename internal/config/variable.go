package config

import (
	"fmt"
	"slices"
	"strings"
)

// Kind determines how the text of a variable is parsed.
type Kind string

// The kinds, with the Go type of their parsed values.
const (
	KindString    Kind = "text"           // string
	KindBool      Kind = "boolean"        // bool
	KindExactBool Kind = "exact boolean"  // bool; only the words true and false, in lower case
	KindInt       Kind = "number"         // int, in Unit
	KindDuration  Kind = "duration"       // time.Duration, written as a whole number of Unit
	KindPort      Kind = "port"           // int
	KindEnum      Kind = "choice"         // string, one of Choices
	KindFolder    Kind = "folder"         // string, a leading ~/ expanded
	KindFile      Kind = "file"           // string, a leading ~/ expanded
	KindHost      Kind = "host"           // string, an IP address or a host name
	KindAddress   Kind = "address"        // string, a loopback host:port
	KindAppURL    Kind = "URL"            // *url.URL without path
	KindEmail     Kind = "e-mail address" // string
	KindWords     Kind = "list"           // []string
	KindOrigins   Kind = "origins"        // []string
	KindHosts     Kind = "hosts"          // []string
	KindTrust     Kind = "trust"          // TrustProxy
	KindTargets   Kind = "targets"        // []Target
)

// Group is the heading under which a variable is listed.
type Group string

// The groups, in the order of the listings.
const (
	GroupServer   Group = "Server"
	GroupApps     Group = "Apps behind Sluice"
	GroupDatabase Group = "Database"
	GroupSecrets  Group = "Secrets and keys"
	GroupTokens   Group = "Sessions and tokens"
	GroupAccounts Group = "Accounts and passwords"
	GroupMail     Group = "Mail"
	GroupOrigins  Group = "Cross-origin access and framing"
	GroupOutbound Group = "Outbound requests and MCP"
	GroupStorage  Group = "File storage"
	GroupLogging  Group = "Logging and metrics"
	GroupTheirs   Group = "The builders' own"
)

// Builder names the product a variable comes from.
type Builder string

// The sources of variables.
const (
	Sluice   Builder = "Sluice"
	Flowise  Builder = "Flowise"
	Langflow Builder = "Langflow"
)

// Variable is one declared configuration variable.
type Variable struct {
	Name    string   `json:"name"`
	Aliases []string `json:"aliases,omitempty"` // other names with the same meaning
	From    Builder  `json:"from"`              // the product that defines the name
	Group   Group    `json:"group"`
	Kind    Kind     `json:"kind"`
	Unit    string   `json:"unit,omitempty"` // minutes, seconds, hours, days or MB; for numbers and durations
	Min     int      `json:"min,omitempty"`  // smallest number, in Unit
	Max     int      `json:"max,omitempty"`  // largest number, in Unit
	MaxWhy  string   `json:"-"`              // why values above Max are refused

	Choices []string          `json:"choices,omitempty"` // KindEnum: the accepted words, in lower case
	Refused map[string]string `json:"-"`                 // KindEnum: foreign words, with the reason for the refusal

	Default     string `json:"default"`                // as text; "" means not set
	DefaultNote string `json:"default_note,omitempty"` // in words, if Default is "" or computed
	Text        string `json:"text"`                   // one sentence: its meaning
	Example     string `json:"example,omitempty"`      // a valid value
	Secret      bool   `json:"secret"`                 // the value is never shown
	Wired       bool   `json:"wired"`                  // this version acts on the value
	Differs     string `json:"differs,omitempty"`      // how Sluice deliberately differs from the page
	Theirs      bool   `json:"theirs"`                 // only the builder reads it; Sluice ignores the value

	Weak    []string          `json:"-"` // published sample values, which are treated as missing
	effects map[string]string // canonical value ("" not set, "*" any) to a sentence; {value} is replaced
}

// Describe returns every declared variable in listing order: Sluice's first, then those that only
// the builders read.
func Describe() []Variable { return slices.Clone(registry) }

// Groups returns the headings in listing order.
func Groups() []Group {
	return []Group{GroupServer, GroupApps, GroupDatabase, GroupSecrets, GroupTokens, GroupAccounts, GroupMail,
		GroupOrigins, GroupOutbound, GroupStorage, GroupLogging, GroupTheirs}
}

var registry = slices.Concat(
	serverVars,
	appVars,
	databaseVars,
	secretVars,
	tokenVars,
	accountVars,
	mailVars,
	originVars,
	outboundVars,
	storageVars,
	loggingVars,
	flowiseTheirs(),
	langflowTheirs(),
)

var byName = indexNames(registry)

func indexNames(vars []Variable) map[string]*Variable {
	index := make(map[string]*Variable, 2*len(vars))
	for i := range vars {
		for _, name := range vars[i].names() {
			index[name] = &vars[i]
		}
	}
	return index
}

// lookup finds the variable called name, which may be an alias or a NAME_FILE spelling of either.
func lookup(name string) (*Variable, bool) {
	if v, ok := byName[name]; ok {
		return v, true
	}
	v, ok := byName[strings.TrimSuffix(name, fileSuffix)]
	return v, ok
}

func (v *Variable) names() []string { return append([]string{v.Name}, v.Aliases...) }

// Expects describes the expected form of a value.
func (v *Variable) Expects() string {
	switch v.Kind {
	case KindBool:
		return "true or false (also yes/no, on/off, 1/0)"
	case KindExactBool:
		return "exactly true or exactly false"
	case KindInt, KindDuration:
		return v.expectsNumber()
	case KindPort:
		return "a port number from 1 to 65535"
	case KindEnum:
		return "one of " + strings.Join(v.Choices, ", ")
	}
	return expectations[v.Kind]
}

var expectations = map[Kind]string{
	KindString:  "text on one line",
	KindFolder:  "the path of a folder",
	KindFile:    "the path of a file",
	KindHost:    "an IP address or a host name, without a port",
	KindAddress: "a loopback address with a port, as 127.0.0.1:9090",
	KindAppURL:  "an http:// or https:// address with a host, an optional port and nothing else",
	KindEmail:   "an email address, with or without a name before it",
	KindWords:   "a comma-separated list",
	KindOrigins: "* or a comma-separated list of origins, as https://flows.example.com",
	KindHosts:   "a comma-separated list of host names, IP addresses and CIDR ranges",
	KindTrust: "false, true, a number of proxies (0 to 16), or a comma-separated list of loopback, linklocal, " +
		"uniquelocal, IP addresses and CIDR ranges",
	KindTargets: "addresses separated by commas or blanks, each [kind=]url[@public-origin], or the word demo",
}

func (v *Variable) expectsNumber() string {
	of := ""
	if v.Unit != "" {
		of = " of " + v.Unit
	}
	return fmt.Sprintf("a whole number%s from %d to %d", of, v.Min, v.Max)
}

// exampleLine returns a valid line for an env file.
func (v *Variable) exampleLine() string {
	if v.Example == "" {
		return ""
	}
	return v.Name + "=" + v.Example
}
