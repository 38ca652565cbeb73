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
	// Notice is a short word on what has just been done; may be empty.
	Notice string
	// Refresh reloads the page after this long; 0 never.
	Refresh time.Duration
	// Scripts are further scripts of the page, names of assets.
	Scripts []string
}

// Person is who is signed in, as the frame shows it.
type Person struct{ Name, Email, Role string }

// NavItem is one entry of the main navigation.
type NavItem struct {
	Href, Label, Icon string
	Active            bool
}
