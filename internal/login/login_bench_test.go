package login_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"sluice/internal/dbtest"
	"sluice/internal/login"
)

// BenchmarkEnumeration compares how long the answers take for accounts that exist and accounts that do not, at the default cost. It reports the median and the 90th percentile of each and the
// ratio of the medians, which should be 1 within noise: who measures answers must not learn who has an account.
func BenchmarkEnumeration(b *testing.B) {
	h := build(b, dbtest.SQLite(b), bcrypt.DefaultCost).withMail(b, func(*login.Config) {})
	h.add(b, "known")
	number := 0
	address := func() string { number++; return fmt.Sprintf("10.%d.%d.%d", number>>16&255, number>>8&255, number&255) }
	questions := map[string]func(who string){
		"sign-in": func(who string) { _, _ = h.try(who, "a wrong password of some length", address(), "") },
		"forgot":  func(who string) { _ = h.logins.RequestReset(context.Background(), who, address()) },
	}
	for name, ask := range questions {
		b.Run(name, func(b *testing.B) {
			took := map[string][]time.Duration{}
			for b.Loop() {
				for _, who := range []string{"known", "nobody"} {
					// An hour later every counter has been forgotten.
					h.step(time.Hour)
					start := time.Now()
					ask(who)
					took[who] = append(took[who], time.Since(start))
				}
			}
			for _, who := range []string{"known", "nobody"} {
				slices.Sort(took[who])
				b.ReportMetric(float64(took[who][len(took[who])/2].Microseconds()), "p50-µs-"+who)
				b.ReportMetric(float64(took[who][len(took[who])*9/10].Microseconds()), "p90-µs-"+who)
			}
			b.ReportMetric(float64(took["known"][len(took["known"])/2])/float64(took["nobody"][len(took["nobody"])/2]), "known/nobody")
		})
	}
}
