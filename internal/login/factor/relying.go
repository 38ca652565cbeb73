package factor

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"sluice/internal/problem"
)

// RelyingParty is the site that a passkey is created for. ID is the host name of the requesting
// page (the relying party id), Origin its scheme, host and port.
type RelyingParty struct{ ID, Origin string }

// RelyingPartyOf is the relying party of a page's origin. It fails with an explanation if browsers
// do not support passkeys there: on IP addresses, and without HTTPS on anything but localhost
// (WebAuthn sections 5.1.3 and 13.4.9).
func RelyingPartyOf(origin string) (RelyingParty, error) {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return RelyingParty{}, problem.New(problem.Invalid, "Passkeys need the address of the page that "+
			"requests them.").
			WithRule("passkey host")
	}
	host := strings.ToLower(u.Hostname())
	if addr, err := netip.ParseAddr(host); err == nil {
		next := "Give Sluice a host name, and open it under that name."
		if addr.IsLoopback() {
			next = "Open " + localhost(u) + " instead."
		}
		return RelyingParty{}, problem.New(problem.Invalid, "Browsers do not support passkeys on an IP address.").
			WithRule("passkey host").
			WithNext(next)
	}
	local := host == "localhost" || strings.HasSuffix(host, ".localhost")
	if u.Scheme == "http" && !local {
		return RelyingParty{}, problem.New(problem.Invalid, "Browsers do not support passkeys on a page without "+
			"HTTPS.").
			WithRule("passkey host").
			WithNext("Open Sluice at an https:// address.")
	}
	if err := protocol.ValidateRPID(host); err != nil {
		return RelyingParty{}, problem.New(problem.Invalid, "Browsers do not support passkeys on this host name.").
			WithRule("passkey host").
			WithNext("Give Sluice an ordinary host name.").
			WithCause(err)
	}
	return RelyingParty{ID: host, Origin: u.Scheme + "://" + strings.ToLower(u.Host)}, nil
}

func localhost(u *url.URL) string {
	if u.Port() == "" {
		return u.Scheme + "://localhost"
	}
	return u.Scheme + "://localhost:" + u.Port()
}

// verifier begins and verifies ceremonies of this relying party: with discoverable passkeys, always
// with user verification, without attestation.
func (rp RelyingParty) verifier() (*webauthn.WebAuthn, error) {
	timeout := webauthn.TimeoutConfig{Timeout: CeremonyLife, TimeoutUVD: CeremonyLife}
	required := true
	w, err := webauthn.New(&webauthn.Config{
		RPID:                  rp.ID,
		RPDisplayName:         "Sluice",
		RPOrigins:             []string{rp.Origin},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			RequireResidentKey: &required,
			ResidentKey:        protocol.ResidentKeyRequirementRequired,
			UserVerification:   protocol.VerificationRequired,
		},
		Timeouts: webauthn.TimeoutsConfig{Login: timeout, Registration: timeout},
		// Some password managers answer with extensions that were not requested; Sluice reads none.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	})
	if err != nil {
		return nil, fmt.Errorf("preparing for passkeys on %s: %w", rp.ID, err)
	}
	return w, nil
}
