// Package problem defines the kinds of error that Sluice shows to people and programs, and the safe
// text that goes with each.
//
// An error has two audiences. The client gets the kind (as an HTTP status), one sentence about the
// mistake, the field that it concerns, the rule that decided, and the next step; all of it is safe
// to show. Operators get the cause, which is wrapped and only ever logged. An error that is not a
// *problem.Error is Internal: its text is never shown.
//
// Document is the wire form, RFC 9457 problem details.
package problem
