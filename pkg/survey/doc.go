// Package survey looks before Rackseed speaks: which other DHCP servers
// answer on the wire, whether an address is in use, what the interface is,
// who holds a port, and whether clock, disk and firewall will do.
package survey
