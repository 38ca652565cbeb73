package login

import (
	"context"
	"encoding/base32"
	"fmt"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
)

// OfferedTOTP is an offer that was made already, for a page that shows it once more after a wrong code.
func (l *Logins) OfferedTOTP(ctx context.Context, e Enrolee, token string) (TOTPOffer, error) {
	who, bound, err := l.enrolling(ctx, e)
	if err != nil {
		return TOTPOffer{}, err
	}
	var held totpHeld
	subject, err := l.held(ctx, purposeTOTPEnrol, token, &held)
	if err != nil {
		return TOTPOffer{}, err
	}
	if subject != who.ID || held.Bound != bound {
		return TOTPOffer{}, nothingHeld()
	}
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(held.Secret)
	if err != nil {
		return TOTPOffer{}, fmt.Errorf("reading the secret of an offer: %w", err)
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: l.issuer(), AccountName: who.Name, Secret: secret, Period: totpPeriod, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		return TOTPOffer{}, fmt.Errorf("showing an offer again: %w", err)
	}
	image, err := qrSVG(key.URL())
	return TOTPOffer{Token: token, Secret: key.Secret(), URL: key.URL(), QR: image}, err
}
