package profile

// The guards that a row can name, see package guard.
const (
	// GuardCode lets people without the right to bring code save and run only what the instance knows already.
	GuardCode = "code"
	// GuardComponent is GuardCode for a single component that the builder's page asks about: nothing but its own code is run.
	GuardComponent = "component"
	// GuardTweaks refuses changes, for one run, of what a component executes.
	GuardTweaks = "tweaks"
	// GuardMCP takes definitions of remote MCP servers only.
	GuardMCP = "mcp"
	// GuardUpload takes multipart bodies in one unambiguous form, with harmless names of files.
	GuardUpload = "upload"
	// GuardFiles takes only paths into the folders of the flow and of the account.
	GuardFiles = "files"
	// GuardName takes only names, in the path and in the query, that stay one file or folder.
	GuardName = "name"
)

// knownGuard reports whether a row may name this guard.
func knownGuard(name string) bool {
	switch name {
	case GuardCode, GuardComponent, GuardTweaks, GuardMCP, GuardUpload, GuardFiles, GuardName:
		return true
	}
	return false
}
