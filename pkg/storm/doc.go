// Package storm rehearses load: many simulated clients against any DHCP, TFTP
// or HTTP boot server, from one process that costs several times less than the
// server it loads, so that what is measured is the server.
//
// Four rehearsals share one manner. [DHCP] and [Burst] play a relay agent with
// many machines behind it, [TFTP] and [HTTP] download, and [Boot] chains them
// the way a rack does after a power cut: lease, loader, script, answer file,
// large file. Each takes a config whose zero fields have documented defaults,
// is bounded in count and in time, and returns a result that encodes to JSON
// and prints as text.
//
// Every rehearsal refuses a target outside loopback, private and link-local
// addresses unless its config says AllowPublic.
package storm
