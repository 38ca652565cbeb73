//go:build e2e

package e2e

import (
	"fmt"
	"strings"
)

// Only this file has the texts and selectors of Langflow's own pages; they apply to both releases.

// langflowPicture is a person's picture, which opens their menu.
const langflowPicture = "[data-testid=user_menu_button], [data-testid=user-profile-settings]"

// SeeLangflow waits for the page that Langflow shows to people who are signed in.
func (p *Person) SeeLangflow() {
	p.t.Helper()
	p.SeeElement(langflowPicture)
	p.until("end of loading", func() bool { return !strings.Contains(p.Text(), "Loading...") })
}

// LangflowMenu picks an item from the menu behind the person's picture.
func (p *Person) LangflowMenu(item string) {
	p.t.Helper()
	p.Click(langflowPicture, "")
	p.Click("[role=menuitem]", item)
}

// OpenLangflow opens a flow.
func (p *Person) OpenLangflow(origin, id string) {
	p.t.Helper()
	p.Open(origin + "/flow/" + id)
	p.SeeElement(canvasNode)
}

// langflowInput is the text of the chat input on the canvas.
const langflowInput = "[data-testid=textarea_str_input_value]"

// TypeLangflow writes a text into the chat input on the canvas, and repeats that if the page
// restores its own text while it loads.
func (p *Person) TypeLangflow(text string) {
	p.t.Helper()
	p.until("text in the chat input", func() bool {
		p.Fill(langflowInput, text)
		return p.LangflowTyped() == text
	})
}

// LangflowTyped returns the text of the chat input on the canvas.
func (p *Person) LangflowTyped() string {
	stands, err := eval[string](p, `document.querySelector("`+langflowInput+`")?.value ?? ""`)
	if err != nil {
		return ""
	}
	return stands
}

// AskPlayground sends a message in the chat beside the canvas, and waits for the echo. The flow
// passes on the message that it got, so the echo is that same message.
func (p *Person) AskPlayground(text string) {
	p.t.Helper()
	p.Click("[data-testid=playground-btn-flow-io]", "")
	p.Fill("[data-testid=input-chat-playground]", text)
	p.Click("[data-testid=button-send]", "")
	p.SeeElement(`[data-testid="chat-message-AI-` + text + `"]`)
}

// Toast returns the text of an alert on Langflow's page; "" without an alert.
func (p *Person) Toast() string {
	text, err := eval[string](
		p,
		`[...document.querySelectorAll('[data-testid*=alert], .error-build-message, [role=alert]')].map(e => e.innerText).join(' ')`,
	)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(text)
}

// MakeLangflowKey creates an API key on Langflow's settings page, and returns the key, which the
// page shows only once.
func (p *Person) MakeLangflowKey(origin, name string) string {
	p.t.Helper()
	p.Open(origin + "/settings/api-keys")
	p.Click("[data-testid=api-key-button-store]", "Add New")
	p.Fill("[role=dialog] input[name=apikey]", name)
	p.Click("[role=dialog] button", "Generate API Key")
	key := ""
	p.until("key in the dialog", func() bool {
		shown, err := eval[string](
			p,
			`[...document.querySelectorAll("[role=dialog] input")].map(e => e.value).find(v => v.startsWith("sk-") || v.length > 30) ?? ""`,
		)
		key = shown
		return err == nil && shown != ""
	})
	p.Shot("key")
	p.Click("[role=dialog] button", "Close")
	p.SeeElement("[role=row]")
	p.See(name)
	return key
}

// DeleteLangflowKeys selects all API keys on Langflow's settings page and deletes them. The page
// draws the list after its frame, and a click on "select all" before that selects nothing.
func (p *Person) DeleteLangflowKeys(origin string) {
	p.t.Helper()
	p.Open(origin + "/settings/api-keys")
	p.SeeElement(".ag-center-cols-container [role=row]")
	const all = ".ag-header-select-all input, .ag-header-cell input[type=checkbox]"
	const bin = "button:has([data-testid=icon-Trash2])"
	p.until("selection of all keys", func() bool {
		if p.usable(bin) {
			return true
		}
		if box, err := eval[string](p, `String(document.querySelector("`+all+`")?.checked)`); err == nil &&
			box == "false" {
			p.Click(all, "")
		}
		return false
	})
	p.Click(bin, "")
}

// usable reports whether the page has an element that a person could use now.
func (p *Person) usable(css string) bool {
	at, err := eval[*point](p, fmt.Sprintf("%s(%q, '')", findJS, css))
	return err == nil && at != nil
}
