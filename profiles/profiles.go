// Package profiles embeds the role profiles that ship with Rackseed.
package profiles

import "embed"

// Files holds one YAML file for each profile, named after it.
//
//go:embed *.yaml
var Files embed.FS

// Schema is the JSON Schema, draft 2020-12, of a profile.
//
//go:embed profile.schema.json
var Schema []byte
