package authn_test

import (
	"fmt"
	"testing"

	"sluice/internal/authn"
	"sluice/internal/dbtest"
)

// BenchmarkVerify is what an access token costs on its way to the builder: the first time it is
// verified in full, from then on it is known by its hash. A session cookie beside it for
// comparison.
func BenchmarkVerify(b *testing.B) {
	o := open(b, dbtest.SQLite(b), func(c *authn.TokenConfig) { c.Audience = "Flowise" })
	u := o.add(b, "ann")
	cookie, _ := o.node.signIn(b, u.ID)
	token := o.signIn(b, u.ID).Access
	b.Run("known", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := o.tokens.Verify(token); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("first", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			o.tokens.Forget()
			if _, err := o.tokens.Verify(token); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("forged", func(b *testing.B) {
		forged := token[:len(token)-10] + "AAAAAAAAAA"
		b.ReportAllocs()
		for b.Loop() {
			if _, err := o.tokens.Verify(forged); err == nil {
				b.Fatal("taken")
			}
		}
	})
	b.Run("cookie", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := o.sessions.Lookup(cookie, authn.AudienceMain); !ok {
				b.Fatal("not found")
			}
		}
	})
}

// BenchmarkKnownTokens shows that many known tokens cost what one costs.
func BenchmarkKnownTokens(b *testing.B) {
	for _, n := range []int{1, 1000, 30_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			o := open(b, dbtest.SQLite(b))
			p := o.signIn(b, o.add(b, "ann").ID)
			list := make([]string, n)
			for i := range list {
				list[i] = o.tokens.Another(p)
				if _, err := o.tokens.Verify(list[i]); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := o.tokens.Verify(list[i%n]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
