// Package profiles embeds the role profiles that ship with Rackseed.
package profiles

import "embed"

// Files holds one YAML file for each profile, named after it.
//
//go:embed *.yaml
var Files embed.FS
