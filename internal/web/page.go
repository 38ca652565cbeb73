package web

import "time"

// Page is what the frame around a page needs to know.
type Page struct {
	// Title names the page in the browser's tab and history.
	Title string
	// Theme is "light", "dark" or "" for the system's.
	Theme string
	// Person is who is signed in; nil for nobody.
	Person *Person
	// Nav are the entries of the main navigation.
	Nav []NavItem
	// Path is the address of the page itself; a change of the theme returns to it.
	Path string
	// Notice is a short word on what has just been done; may be empty. NoticeTone is Good unless it is set.
	Notice     string
	NoticeTone Tone
	// Banner stands above every page as long as something about the whole installation has to be known; nil is none.
	Banner *Banner
	// Workspaces are those that the person may work in; the frame offers to switch when there are two or more.
	Workspaces []Workspace
	// Refresh reloads the page after this long; 0 never.
	Refresh time.Duration
	// RefreshTo leads the browser on to another address at once; "" stays. It is an address that Sluice itself has made.
	RefreshTo string
	// Scripts are further scripts of the page, names of assets.
	Scripts []string
}

// Banner is a sentence with a link; without Href there is none.
type Banner struct{ Text, Href, Action string }

// Person is who is signed in, as the frame shows it.
type Person struct {
	Name, Email, Role string
	// Menu are the entries of the person's menu, above signing out.
	Menu []NavItem
}

// Workspace is an entry of the switcher.
type Workspace struct {
	ID, Name string
	// Current is the one that the person works in.
	Current bool
}

// NavItem is one entry of the main navigation.
type NavItem struct {
	Href, Label, Icon string
	Active            bool
}
