package authn_test

import (
	"syscall"
	"testing"
)

// reportCPU reports the processor time of each round beside the time that passed: on a busy machine
// it is the truer number.
func reportCPU(b *testing.B) func() {
	start := cpu()
	return func() { b.ReportMetric(float64(cpu()-start)/float64(b.N), "cpu-ns/op") }
}

func cpu() int64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
