// Package bmcsim is a simulated baseboard management controller that speaks
// Redfish (DMTF DSP0266, schemas of DSP8010), with a machine behind it whose
// power is real: switching it on starts its boot, and the boot override
// decides from what. It goes wrong on purpose, by name.
//
// It is written to the standard, not to one client: Debian's redfishtool and
// python3-sushy drive it in its tests.
package bmcsim
