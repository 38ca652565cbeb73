package secret

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"sluice/internal/problem"
)

// Bounds of the vault.
const (
	// maxCredentials is how many a workspace can have.
	maxCredentials = 500
	// maxFields is how many values a credential can have; the largest of Flowise's own types has nine.
	maxFields = 32
	// maxValue and maxValues bound one value and all of a credential together, in bytes; a service account's JSON has about 2,400.
	maxValue  = 16 << 10
	maxValues = 32 << 10
	// maxCredentialName is in characters.
	maxCredentialName = 80
	// maxSharedRoles is how many roles a credential can be shared with.
	maxSharedRoles = 50
)

// word is the form of kinds and of names of fields: both are identifiers in the builders.
var word = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,80}$`)

func (v *Vault) clean(n *NewCredential) (err error) {
	if n.Name, err = cleanCredentialName(n.Name); err != nil {
		return err
	}
	if n.Kind = strings.TrimSpace(n.Kind); !word.MatchString(n.Kind) {
		return problem.New(problem.Invalid, "The kind is the builder's own word for the type of credential: 1 to 80 letters, digits, dots, dashes and underscores.").
			WithField("kind").WithNext("For an OpenAI key in Flowise it is openAIApi.")
	}
	if err = checkValues(n.Values); err != nil {
		return err
	}
	n.Roles, err = v.cleanRoles(n.Roles)
	return err
}

func cleanCredentialName(s string) (string, error) {
	s = strings.Join(strings.Fields(s), " ")
	bad := strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
	if n := utf8.RuneCountInString(s); n < 1 || n > maxCredentialName || bad || !utf8.ValidString(s) {
		return "", problem.Newf(problem.Invalid, "A credential's name has 1 to %d printable characters.", maxCredentialName).WithField("name")
	}
	return s, nil
}

// checkValues bounds the values. Its messages name fields, never values.
func checkValues(values map[string]string) error {
	refuse := func(format string, args ...any) error {
		return problem.Newf(problem.Invalid, format, args...).WithField("values")
	}
	if len(values) < 1 || len(values) > maxFields {
		return refuse("A credential has 1 to %d fields.", maxFields)
	}
	total := 0
	for _, name := range fieldsOf(values) {
		value := values[name]
		total += len(value)
		switch {
		case !word.MatchString(name):
			return refuse("%.80q is no name of a field: 1 to 80 letters, digits, dots, dashes and underscores.", name)
		case value == "":
			return refuse("The field %s is empty.", name)
		case len(value) > maxValue:
			return refuse("The value of %s has more than %d bytes.", name, maxValue)
		case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
			return refuse("The value of %s is no text (UTF-8 without NUL).", name)
		}
	}
	if total > maxValues {
		return refuse("The values have more than %d bytes together.", maxValues)
	}
	return nil
}

// fieldsOf are the names of values, sorted.
func fieldsOf(values map[string]string) []string { return slices.Sorted(maps.Keys(values)) }

// cleanRoles sorts the ids of roles, all of which must be there.
func (v *Vault) cleanRoles(roles []string) ([]string, error) {
	roles = slices.Clone(roles)
	slices.Sort(roles)
	roles = slices.Compact(roles)
	if len(roles) > maxSharedRoles {
		return nil, problem.Newf(problem.Invalid, "A credential is shared with at most %d roles.", maxSharedRoles).WithField("roles")
	}
	for _, id := range roles {
		if _, ok := v.cfg.People.Role(id); !ok {
			return nil, problem.Newf(problem.Invalid, "There is no role %.64q; expected is user, viewer or the id of a custom role.", id).WithField("roles")
		}
	}
	return roles, nil
}
