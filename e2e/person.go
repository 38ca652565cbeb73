//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/chromedp/chromedp"
)

// findJS finds the first element that matches a CSS selector, whose text, label or value contains a
// text, and that a person could use: it is enabled and visible and nothing else covers it. It
// returns the element's middle, after scrolling it into view if necessary.
const findJS = `((css, text) => {
	const says = e => [e.innerText, e.value, e.title, e.ariaLabel, e.name, e.placeholder].some(s => s && String(s).includes(text));
	const middle = e => {
		const r = e.getBoundingClientRect(), x = r.x + r.width / 2, y = r.y + r.height / 2;
		if (r.width === 0 || r.height === 0 || getComputedStyle(e).visibility === 'hidden') return null;
		const top = document.elementFromPoint(x, y);
		return top && (e.contains(top) || top.contains(e) || top.closest('label')?.control === e) ? {x, y} : null;
	};
	for (const e of document.querySelectorAll(css)) {
		if (text && !says(e) || e.disabled) continue;
		let at = middle(e);
		if (!at) {
			e.scrollIntoView({block: 'nearest', inline: 'nearest', behavior: 'instant'});
			at = middle(e);
		}
		if (at) return at;
	}
	return null;
})`

// atRest is how many times in a row, 50 ms apart, an element must be at the same place.
const atRest = 4

type point struct{ X, Y float64 }

// find waits for the element of findJS to come to rest (pages slide and unfold elements) and
// returns its middle.
func (p *Person) find(css, text string) point {
	p.t.Helper()
	a, _ := json.Marshal(css)
	b, _ := json.Marshal(text)
	expression := fmt.Sprintf("%s(%s, %s)", findJS, a, b)
	var at point
	still := 0
	p.until(fmt.Sprintf("%s with %q to use", css, text), func() bool {
		found, err := eval[*point](p, expression)
		switch {
		case err != nil || found == nil:
			still = 0
		case still > 0 && *found == at:
			still++
		default:
			at, still = *found, 1
		}
		return still == atRest
	})
	return at
}

// until checks cond repeatedly until it holds, even across page changes.
func (p *Person) until(what string, cond func() bool) {
	p.t.Helper()
	await(p.t, what+" for "+p.Name, cond, func() string { return "" })
}

// Click clicks the first element that matches a CSS selector and has the text ("" for any).
func (p *Person) Click(css, text string) {
	p.t.Helper()
	at := p.find(css, text)
	p.do(fmt.Sprintf("clicking %s %q", css, text), chromedp.MouseClickXY(at.X, at.Y))
}

// DoubleClick double-clicks the element that Click would click.
func (p *Person) DoubleClick(css, text string) {
	p.t.Helper()
	at := p.find(css, text)
	p.do(
		fmt.Sprintf("double-clicking %s %q", css, text),
		chromedp.MouseClickXY(at.X, at.Y),
		chromedp.MouseClickXY(at.X, at.Y, chromedp.ClickCount(2)),
	)
}

// Fill replaces the content of a field.
func (p *Person) Fill(css, value string) {
	p.t.Helper()
	p.Click(css, "")
	if _, err := eval[bool](p,
		"(e => { if (e && e.select) e.select(); return true })(document.activeElement)"); err != nil {
		p.t.Fatalf("%s: selecting the text of %s: %v", p.Name, css, err)
	}
	p.Insert(value)
}

// See waits until the page shows a text.
func (p *Person) See(text string) {
	p.t.Helper()
	p.until(fmt.Sprintf("text %q", text), func() bool { return strings.Contains(p.Text(), text) })
}

// SeeElement waits until the page has a visible element.
func (p *Person) SeeElement(css string) {
	p.t.Helper()
	p.find(css, "")
}

// At waits until the person's address begins with prefix.
func (p *Person) At(prefix string) {
	p.t.Helper()
	p.until("way to "+prefix, func() bool { return strings.HasPrefix(p.URL(), prefix) })
}

// Await waits until a matching request of the pages was answered or has failed. It returns the last
// such request.
func (p *Person) Await(method, part string) Request {
	p.t.Helper()
	var last Request
	p.until(fmt.Sprintf("answer to %s …%s", method, part), func() bool {
		asked := p.Asked(method, part)
		if len(asked) == 0 {
			return false
		}
		last = asked[len(asked)-1]
		return last.Status != 0 || last.Failed != ""
	})
	return last
}

// Drag drags from the middle of one element to the middle of another, moved by dx and dy pixels.
func (p *Person) Drag(from, fromText, to, toText string, dx, dy float64) {
	p.t.Helper()
	b := p.find(to, toText)
	a := p.find(from, fromText) // last, because bringing it into view must not be undone
	p.do(
		fmt.Sprintf("dragging %s %q to %s %q", from, fromText, to, toText),
		chromedp.DragAndDropXY(a.X, a.Y, b.X+dx, b.Y+dy),
	)
}
