// Package buildinfo says which build of Slipway is running.
package buildinfo

import "runtime/debug"

// version is set by the linker in release builds:
// -ldflags "-X github.com/slipwayhq/slipway/internal/buildinfo.version=v1.2.3".
var version = "dev"

// Version is the release, or "dev".
func Version() string { return version }

// Commit is the commit the binary was built from, or "unknown".
func Commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return "unknown"
}
