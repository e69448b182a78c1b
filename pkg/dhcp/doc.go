// Package dhcp answers DHCPv4 on a provisioning network: addresses and boot
// files in server mode, boot files alone beside another DHCP server in proxy
// mode, and silence towards every machine that the plan does not name.
//
// [Decide] is pure: request, state and time give the reply, the events and
// the reason. [Server] owns the sockets around it. A reservation from the
// plan writes nothing; a pool lease is an event that is on disk before the
// ACK leaves.
//
// Sources: RFC 2131 (protocol), 2132 (options), 3046, 3527, 5107 and 8357
// (relays), 3396 (long options), 6842 (client id), 4578 and PXE 2.1 (network
// boot), 3004 (user class).
package dhcp
