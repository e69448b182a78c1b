// Package site holds the nouns of a provisioning site and the laws that bind
// them: the plan an engineer wrote, the machines and leases the daemon knows,
// the events that change them, and the fold from one to the other.
//
// It opens nothing, reads no clock and imports only the standard library, so
// that every other package can depend on it and every decision can be tested
// with values alone.
package site
