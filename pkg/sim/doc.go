// Package sim is a fake rack: machines with PXE firmware, a small iPXE and an
// installer, that meet a daemon only through its front door, packets and
// HTTP. It shows the product, tests it, and goes wrong on purpose.
//
// It runs without privileges. Its machines share one relay agent that speaks
// from a port of its own (RFC 8357), and each speaks HTTP from the address
// that it was given, which on Linux may be any address of 127.0.0.0/8.
package sim
