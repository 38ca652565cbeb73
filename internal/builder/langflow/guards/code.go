package guards

import (
	"context"
	"fmt"
	"sync"

	"sluice/internal/guard"
	"sluice/internal/problem"
)

// code is the guard of that name. Some claims are refused to everyone; the others only concern
// people without permission to bring code.
func (g *Guard) code(ctx context.Context, r *guard.Request, single bool) error {
	docs, err := names.Documents(r)
	if err != nil {
		return err
	}
	all := make([]*findings, len(docs))
	for i := range docs {
		all[i] = walk(&docs[i], false)
	}
	if nothingFound(all) {
		return nil // without asking the builder, which is impossible for a stranger
	}
	may := r.MayCode()
	if may && !single {
		g.forget(r) // the code that they save becomes known
	}
	if may && !concernAll(all) {
		return nil
	}
	return g.judge(ctx, r, all, may, single)
}

// nothingFound reports whether the documents have no component and no possible code.
func nothingFound(all []*findings) bool {
	for _, f := range all {
		if len(f.claims)+len(f.components)+len(f.entries) > 0 {
			return false
		}
	}
	return true
}

// concernAll reports whether there is a claim that is refused even with permission to bring code.
func concernAll(all []*findings) bool {
	for _, f := range all {
		for i := range f.claims {
			if f.claims[i].forAll() {
				return true
			}
		}
	}
	return false
}

// forAll reports that the claim is refused to everyone unless the stored flow already has it.
func (c *claim) forAll() bool { return c.what == whatNameless || c.what == whatProcess }

// judge refuses claims that are neither shipped nor stored.
func (g *Guard) judge(ctx context.Context, r *guard.Request, all []*findings, may, single bool) error {
	ships, err := g.shipped(ctx, r, false)
	if err != nil {
		return err
	}
	left := remaining(all, may, single, ships, nil)
	if len(left) == 0 {
		return nil
	}
	there, err := g.there(ctx, r, ships, single)
	if err != nil {
		return err
	}
	if left = remaining(all, may, single, ships, there); len(left) == 0 {
		return nil
	}
	if left[0].what == whatCode && !r.Stranger {
		if ships, err = g.shipped(ctx, r, true); err != nil {
			return err
		}
		if left = remaining(all, may, single, ships, there); len(left) == 0 {
			return nil
		}
	}
	return refusal(left)
}

func (g *Guard) there(ctx context.Context, r *guard.Request, ships *knowledge, single bool) (*knowledge, error) {
	if single && r.Flow == "" || r.Stranger {
		return g.everywhere(ctx, r, ships)
	}
	return g.stored(ctx, r, ships)
}

// remaining are the claims that are not known.
func remaining(all []*findings, may, single bool, ships, there *knowledge) []claim {
	var left []claim
	for _, f := range all {
		left = append(left, unknown(f.claims, ships, there)...)
		if !may && !single {
			left = append(left, unknown(f.runnerClaims(either(ships, there)), ships, there)...)
		}
	}
	kept := left[:0]
	for _, c := range left {
		if may && !c.forAll() || single && (c.what == whatFile || c.what == whatTitle) {
			continue
		}
		kept = append(kept, c)
	}
	return kept
}

// refusal names the most important claim, and how many more there are.
func refusal(left []claim) error {
	c := &left[0]
	for i := range left {
		if left[i].forAll() {
			c = &left[i]
			break
		}
	}
	detail, next := c.explain()
	if n := len(left) - 1; n > 0 {
		detail += fmt.Sprintf(" Similar problems in other places: %d.", n)
	}
	return problem.New(problem.Denied, detail).WithRule("guard.code").WithField(guard.Clip(c.field)).WithNext(next)
}

const (
	askForCode = "Undo the change to this component, or ask a person with the permission “Run custom functions” " +
		"to make it. An admin grants that permission."
	askForNone = "Use a remote MCP server with an https address instead. Commands run on the builder's host, so " +
		"Sluice allows no one to add one."
)

// explain describes a claim and what to do about it.
func (c *claim) explain() (detail, next string) {
	switch c.what {
	case whatCode:
		return fmt.Sprintf("“%s” has code in its field %s that is neither part of this installation nor in the "+
			"stored flow.", c.node, guard.Clip(c.field)), askForCode
	case whatRunner:
		return fmt.Sprintf("“%s” executes its fields, and the stored flow does not contain it with these "+
			"values.", c.node), askForCode
	case whatWire:
		return fmt.Sprintf("“%s” would receive a value in its field %s, which it executes, that the stored flow "+
			"does not pass to it.", c.node, guard.Clip(c.field)), askForCode
	case whatFile:
		return fmt.Sprintf("“%s” names a file on the builder's host in its field %s.", c.node, guard.Clip(c.field)),
			"Upload the file and choose it in the component, or ask a person with the permission “Run custom " +
				"functions”."
	case whatTitle:
		return fmt.Sprintf("Older releases of Langflow can read the name of “%s” as Python.", c.node),
			"Remove quotation marks, backslashes and line breaks from it. If it has a colon or an equals sign, " +
				"also remove brackets."
	case whatProcess:
		return fmt.Sprintf("“%s” starts an MCP server with a command.", c.node), askForNone
	case whatNameless:
		return "The flow has a component without a type.",
			"Remove it and add it again from the builder's list of components."
	default:
		return fmt.Sprintf("“%s” has a field %s in a form that makes the builder take code from elsewhere.",
				c.node, guard.Clip(c.field)),
			"Remove the component and add it again from the builder's list of components."
	}
}

// names are the names that Langflow accepts. Before 1.9 it stores a user's MCP servers in an upload
// whose name starts with this prefix.
var names = guard.Names{Reserved: []string{"_mc"}}

// Guard remembers which code instances have. It is safe for concurrent use.
type Guard struct {
	apps sync.Map // app id -> *instance
}

// Checks are the guards by name.
func (g *Guard) Checks() map[string]guard.Check {
	plain := func(check func(*guard.Request) error) guard.Check {
		return func(_ context.Context, r *guard.Request) error { return check(r) }
	}
	return map[string]guard.Check{
		"code":      func(ctx context.Context, r *guard.Request) error { return g.code(ctx, r, false) },
		"component": func(ctx context.Context, r *guard.Request) error { return g.code(ctx, r, true) },
		"tweaks":    plain(tweaks),
		"mcp":       plain(mcp),
		"upload":    names.Upload,
		"files":     names.Files,
		"name":      names.Plain,
	}
}
