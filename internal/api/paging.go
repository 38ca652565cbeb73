package api

import "time"

// Paging holds the parameters that every list takes.
type Paging struct {
	Limit  int `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"The most entries to return."`
	Offset int `query:"offset" minimum:"0" maximum:"1000000" default:"0" doc:"The number of entries to skip."`
}

// list is a page of entries and the total number of entries.
type list[T any] struct {
	Items []T `json:"items" nullable:"false" doc:"The requested entries."`
	Total int `json:"total" doc:"The total number of entries." example:"1"`
}

// listOf shapes one page of rows.
func listOf[R, T any](rows []R, total int, shape func(R) T) list[T] {
	out := list[T]{Items: make([]T, 0, len(rows)), Total: total}
	for _, row := range rows {
		out.Items = append(out.Items, shape(row))
	}
	return out
}

// pageOf cuts a page out of a complete list of rows.
func pageOf[R, T any](rows []R, p Paging, shape func(R) T) list[T] {
	from := min(p.Offset, len(rows))
	return listOf(rows[from:min(from+p.Limit, len(rows))], len(rows), shape)
}

// moment is a time in an answer; nil for the zero time.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// UserPath names a person in a path.
type UserPath struct {
	User string `path:"user" pattern:"^[A-Za-z0-9_-]{1,64}$" patternDescription:"an id of 1 to 64 letters, digits, dashes or underscores" doc:"A person's id." example:"0199aaaa-0000-7000-8000-000000000001"`
}

// WorkspacePath names a workspace in a path.
type WorkspacePath struct {
	Workspace string `path:"workspace" pattern:"^[A-Za-z0-9_-]{1,64}$" patternDescription:"an id of 1 to 64 letters, digits, dashes or underscores" doc:"A workspace's id." example:"default"`
}

// RolePath names a role in a path.
type RolePath struct {
	Role string `path:"role" pattern:"^[A-Za-z0-9_-]{1,64}$" patternDescription:"an id of 1 to 64 letters, digits, dashes or underscores" doc:"A role's id." example:"viewer"`
}

// AppPath names an app in a path.
type AppPath struct {
	App string `path:"app" pattern:"^[A-Za-z0-9_-]{1,64}$" patternDescription:"an id of 1 to 64 letters, digits, dashes or underscores" doc:"An app's id." example:"0199aaaa-0000-7000-8000-000000000002"`
}

// Where selects a workspace.
type Where struct {
	Workspace string `query:"workspace" pattern:"^[A-Za-z0-9_-]{1,64}$" patternDescription:"an id of 1 to 64 letters, digits, dashes or underscores" doc:"The workspace to check. If left out, the default workspace." example:"default" default:"default"`
}
