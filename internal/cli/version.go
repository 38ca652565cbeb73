package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

type versionCommand struct{}

// Run prints one line: version, commit if known, Go release and platform.
func (versionCommand) Run(rt *Runtime) error {
	_, err := fmt.Fprintf(
		rt.Stdout,
		"sluice %s (%s, %s/%s)\n",
		Version(),
		runtime.Version(),
		runtime.GOOS,
		runtime.GOARCH,
	)
	return err
}

// Version is the module's version as the Go tool recorded it, or "development" with the commit if
// it is known.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "development"
	}
	return versionOf(info)
}

func versionOf(info *debug.BuildInfo) string {
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	version := "development"
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision" && len(setting.Value) >= 12:
			version += " " + setting.Value[:12]
		case setting.Key == "vcs.modified" && setting.Value == "true":
			version += ", modified"
		}
	}
	return version
}
