// Package charts holds the Helm chart that the programs carry with them.
package charts

import "embed"

//go:generate go run ../internal/chartgen

// Files is the umbrella chart below the folder slipway, profiles included.
//
//go:embed all:slipway
var Files embed.FS
