package answer

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
)

// netStyle is what configures the network of an installed system.
type netStyle string

// The styles.
const (
	keyfileStyle  netStyle = "keyfile"  // NetworkManager, /etc/NetworkManager/system-connections
	ifcfgStyle    netStyle = "ifcfg"    // NetworkManager before keyfiles were its own, /etc/sysconfig/network-scripts
	netplanStyle  netStyle = "netplan"  // Ubuntu, rendered for systemd-networkd
	networkdStyle netStyle = "networkd" // systemd-networkd
)

// netStyleOf knows what each distribution ships.
func netStyleOf(image site.Image) (netStyle, error) {
	version := strings.TrimPrefix(strings.ToUpper(major(image.Version)), "V")
	switch image.Family {
	case "rhel":
		return keyfileStyle, nil
	case "openeuler":
		if version < "22" {
			return ifcfgStyle, nil
		}
		return keyfileStyle, nil
	case "kylin": // V10 follows openEuler 20.03, V11 is newer than 22.03
		if strings.HasPrefix(version, "10") {
			return ifcfgStyle, nil
		}
		return keyfileStyle, nil
	case "ubuntu":
		return netplanStyle, nil
	case "debian":
		return networkdStyle, nil
	default:
		return "", fmt.Errorf("no network can be written for %s: use a system of the RHEL family, openEuler, Kylin, Debian or Ubuntu", image.Family)
	}
}

// netFile is one file of a network. Its text may hold @MAC:nic@ and
// @NAME:nic@ for what only the machine itself knows of a port.
type netFile struct{ mode, path, text string }

// networkFiles writes the network of a node. Files whose names start with
// ours, and nothing else there, belong to it.
func networkFiles(style netStyle, node string, n *profile.Network) ([]netFile, error) {
	w := &netWriter{node: node, n: n, byName: map[string]profile.Interface{}}
	for _, i := range n.Interfaces {
		w.byName[w.item("interface", i.Name)] = i
	}
	var files []netFile
	switch style {
	case keyfileStyle:
		files = w.keyfiles()
	case ifcfgStyle:
		files = w.ifcfgs()
	case netplanStyle:
		files = w.netplan()
	case networkdStyle:
		files = w.networkd()
	default:
		return nil, fmt.Errorf("there is no network style %q", style)
	}
	return files, w.err
}

// netWriter holds what the writers of all styles ask.
type netWriter struct {
	words
	node   string
	n      *profile.Network
	byName map[string]profile.Interface
}

// uuid is the same for the same node and interface in every render, and
// differs between any two (UUID version 8, RFC 9562 section 5.8).
func (w *netWriter) uuid(name string) string {
	u := sha256.Sum256([]byte("rackseed network\x00" + w.node + "\x00" + name))
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
}

// mac is that of a port, or what the script puts there once it has found it.
func (w *netWriter) mac(i profile.Interface) string {
	if i.NIC.MAC != (site.MAC{}) {
		return i.NIC.MAC.String()
	}
	return "@MAC:" + w.item("NIC", i.Name) + "@"
}

// bondMAC is that of the first port: NetworkManager's bonds have it, and DHCP
// knows the machine by it. Left alone, networkd makes one up that nobody knows.
func (w *netWriter) bondMAC(i profile.Interface) string {
	if len(i.Bond.NICs) == 0 {
		return w.refuse("bond", i.Name, "has no ports")
	}
	return w.mac(w.byName[i.Bond.NICs[0]])
}

// device is the name that the kernel knows an interface by.
func (w *netWriter) device(name string) string {
	if w.byName[name].Kind == profile.Ethernet {
		return "@NAME:" + w.item("NIC", name) + "@"
	}
	return name
}

// vlans lists those on an interface.
func (w *netWriter) vlans(parent string) []string {
	var out []string
	for _, i := range w.n.Interfaces {
		if i.Parent == parent {
			out = append(out, i.Name)
		}
	}
	return out
}

// bare reports that an interface is up without IP.
func bare(i profile.Interface) bool { return !i.DHCP && !i.Address.IsValid() }

// option is one option of a bond.
type option struct{ name, value string }

// options lists those of a bond by name.
func (w *netWriter) options(b site.Bond) []option {
	var out []option
	for _, name := range slices.Sorted(maps.Keys(b.Options)) {
		if v := b.Options[name]; strings.ContainsAny(v, "@") || !onlyOf(v, "._,:+-") {
			w.refuse("bond option "+name, v, "is not a value of the bonding driver")
		}
		out = append(out, option{w.item("bond option", name), b.Options[name]})
	}
	return out
}

// ini is a file of sections with keys.
type ini struct{ b strings.Builder }

const netHeader = "# Written by Rackseed from the plan; the next run writes it again.\n"

func newINI() *ini {
	f := &ini{}
	f.b.WriteString(netHeader)
	return f
}

func (f *ini) section(name string) { fmt.Fprintf(&f.b, "\n[%s]\n", name) }

func (f *ini) set(key, value string) { fmt.Fprintf(&f.b, "%s=%s\n", key, value) }

func (f *ini) text() string { return f.b.String() }
