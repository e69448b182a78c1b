package api

import "github.com/rackseed/rackseed/pkg/login"

// Policy opens the policy to tests.
func Policy() map[string]login.Role { return policy() }
