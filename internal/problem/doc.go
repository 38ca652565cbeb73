// Package problem holds the kinds of error that Sluice tells anybody about, and the safe text that goes with each.
//
// An error has two audiences. The person or program at the other end gets the kind (as an HTTP status), one sentence about what was
// wrong, the field it concerns, the rule that decided, and the next step; all of it is written to be shown. Operators get the cause,
// which is wrapped and only ever logged. An error that is not a *problem.Error is Internal: its text is never shown.
//
// Document is the wire form, RFC 9457 problem details.
package problem
