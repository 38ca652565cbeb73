package web

import "time"

// Page holds the data for the frame around a page.
type Page struct {
	// Title names the page in the browser's tab and history.
	Title string
	// Theme is "light", "dark" or "" for the system's theme.
	Theme string
	// Person is the person who is signed in, if any.
	Person *Person
	// Nav are the entries of the main navigation.
	Nav []NavItem
	// Path is the address of the page itself; a change of the theme returns to it.
	Path string
	// Notice is a short text about the last change; may be empty. NoticeTone is Good unless it is
	// set.
	Notice     string
	NoticeTone Tone
	// Banner appears above every page while people need to know something about the whole
	// installation; nil omits it.
	Banner *Banner
	// Workspaces are those that the person may work in; the frame offers to switch if there are two
	// or more.
	Workspaces []Workspace
	// Refresh reloads the page after this long; 0 means never.
	Refresh time.Duration
	// RefreshTo immediately leads the browser to another address; "" means that it stays. Sluice
	// itself must have created the address.
	RefreshTo string
	// Scripts are additional scripts of the page, by asset name.
	Scripts []string
}

// Banner is a sentence with a link; an empty Href omits the link.
type Banner struct{ Text, Href, Action string }

// Person is the signed-in person as the frame shows them.
type Person struct {
	Name, Email, Role string
	// Menu are the entries of the person's menu, above signing out.
	Menu []NavItem
}

// Workspace is an entry of the switcher.
type Workspace struct {
	ID, Name string
	// Current marks the workspace that the person works in.
	Current bool
}

// NavItem is one entry of the main navigation.
type NavItem struct {
	Href, Label, Icon string
	Active            bool
}
