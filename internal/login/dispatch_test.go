package login

import (
	"fmt"
	"slices"
	"testing"

	"sluice/internal/identity"
)

// provenFactors are the factors that a sign-in can have proven, with and without a second one.
var provenFactors = []struct {
	factors []string
	strong  bool
}{
	{nil, false},
	{[]string{FactorPassword}, false},
	{[]string{FactorLink}, false},
	{[]string{FactorSSO}, false},
	{[]string{FactorSSOStrong}, true},
	{[]string{FactorPasskey}, true},
	{[]string{FactorPassword, FactorTOTP}, true},
	{[]string{FactorPassword, FactorPasskey}, true},
	{[]string{FactorPassword, FactorRecovery}, true},
	{[]string{FactorLink, FactorTOTP}, true},
	{[]string{FactorSSO, FactorRecovery}, true},
}

// TestDispatcher tries every combination of proven factors, factors that the person has,
// requirements of their workspaces, and declined offers.
func TestDispatcher(t *testing.T) {
	t.Parallel()
	cases, reached := 0, map[Step]int{}
	for _, proven := range provenFactors {
		for bits := range 1 << 6 {
			known, active, has, invited, skippedEnrol, skippedInvitation := bits&1 > 0, bits&2 > 0, bits&4 > 0,
				bits&8 > 0, bits&16 > 0, bits&32 > 0
			for _, policy := range []string{identity.FactorOff, identity.FactorEncouraged, identity.FactorRequired} {
				a, s := State{Factors: proven.factors}, standing{factors: has, policy: policy, invited: invited}
				s.account.Active = active
				if known {
					a.Account = "ann"
				}
				if skippedEnrol {
					a.Skipped = append(a.Skipped, StepEnrol)
				}
				if skippedInvitation {
					a.Skipped = append(a.Skipped, StepInvitation)
				}
				want := expected(known, active, has, proven.strong, policy, skippedEnrol, invited && !skippedInvitation)
				got := next(a, s)
				name := fmt.Sprintf("proven %v, known %v, active %v, factors %v, policy %s, declined %v, invited %v",
					proven.factors, known, active, has, policy, a.Skipped, invited)
				if got != want {
					t.Errorf("%s: %s, want %s", name, got, want)
				}
				if got == StepFinish &&
					(!known || !active || has && !proven.strong || policy == identity.FactorRequired &&
						!proven.strong) {
					t.Errorf("%s: a session", name)
				}
				cases++
				reached[got]++
			}
		}
	}
	for _, step := range []Step{StepIdentify, StepVerify, StepFactor, StepEnrol, StepInvitation, StepFinish} {
		if reached[step] == 0 {
			t.Errorf("none of %d cases leads to %s", cases, step)
		}
	}
}

// expected states the rule independently of the dispatcher: an unknown person identifies
// themselves; an inactive person waits; a person with a weak proof uses their second factor or sets
// up the required one; then come invitations.
func expected(known, active, has, strong bool, policy string, declined, invited bool) Step {
	if !known {
		return StepIdentify
	}
	if !active {
		return StepVerify
	}
	if !strong {
		if has {
			return StepFactor
		}
		asked := map[string]bool{identity.FactorRequired: true, identity.FactorEncouraged: !declined}
		if asked[policy] {
			return StepEnrol
		}
	}
	if invited {
		return StepInvitation
	}
	return StepFinish
}

// A session is strong exactly if the attempt was strong, and its method names every factor once.
func TestMethods(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		method  string
		factors []string
		want    string
	}{
		{FactorPassword, []string{FactorPassword}, "password"},
		{FactorPassword, []string{FactorPassword, FactorTOTP}, "password + totp"},
		{FactorPassword, []string{FactorPassword, FactorPasskey}, "password + passkey"},
		{FactorPasskey, []string{FactorPasskey}, "passkey"},
		{"reset link", []string{FactorLink, FactorRecovery}, "reset link + recovery code"},
	} {
		a := State{Method: tt.method, Factors: tt.factors}
		if got := a.method(); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.factors, got, tt.want)
		}
	}
	for _, proven := range provenFactors {
		if got := (State{Factors: proven.factors}).strong(); got != proven.strong {
			t.Errorf("%v: strong %v", proven.factors, got)
		}
	}
	if len(
		slices.Compact(
			slices.Sorted(
				slices.Values(
					[]string{
						FactorPassword,
						FactorLink,
						FactorTOTP,
						FactorPasskey,
						FactorRecovery,
						FactorSSO,
						FactorSSOStrong,
					},
				),
			),
		),
	) != 7 {
		t.Error("two factors have one name")
	}
}
