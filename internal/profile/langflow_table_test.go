package profile

import "testing"

func TestLangflowLoads(t *testing.T) {
	p := mustProfile(t, KindLangflow, Options{})
	t.Log(len(p.Endpoints()))
}
