package answer

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/site"
)

// netMachine lays out /sys/class/net of a machine: four ports, one of them in a
// bond, which shows the bond's MAC, and a bond itself.
func netMachine(t *testing.T) string {
	t.Helper()
	sys := t.TempDir()
	for name, text := range map[string]string{
		"class/net/ens1/address": "52:54:00:00:00:01\n", "class/net/ens2/address": "52:54:00:00:00:01\n",
		"class/net/ens2/bonding_slave/perm_hwaddr": "52:54:00:00:00:02\n",
		"class/net/ens9f0/address":                 "52:54:00:00:00:13\n", "class/net/ens3f0/address": "52:54:00:00:00:11\n", "class/net/ens3f1/address": "52:54:00:00:00:12\n",
		"class/net/bond0/address": "52:54:00:00:00:01\n", "class/net/bond0/uevent": "DEVTYPE=bond\n", "class/net/lo/address": "00:00:00:00:00:00\n",
		"devices/pci0000:3a/0000:3b:00.0/x": "", "devices/pci0000:3a/0000:3b:00.1/virtio7/x": "",
	} {
		putFile(t, filepath.Join(sys, name), text)
	}
	for dev, kind := range map[string]string{"ens1": "1", "ens2": "1", "ens3f0": "1", "ens3f1": "1", "ens9f0": "1", "bond0": "1", "lo": "772"} {
		putFile(t, filepath.Join(sys, "class/net", dev, "type"), kind+"\n")
	}
	for dev, place := range map[string]string{"ens3f0": "0000:3b:00.0", "ens3f1": "0000:3b:00.1/virtio7"} {
		if err := os.Symlink("../../../devices/pci0000:3a/"+place, filepath.Join(sys, "class/net", dev, "device")); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(sys, "class/net")
}

func putFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// netScript is what tuneScript does about the network, and nothing else.
func netScript(t *testing.T, image site.Image) string {
	t.Helper()
	target := target(t, image)
	target.Intent.Network = hyperconverged()
	s := newScript("test")
	s.piece("tune")
	tuneNetwork(s, target)
	text, err := s.text()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func image(family, version string) site.Image {
	i := rocky9()
	i.Family, i.Version = family, version
	return i
}

// TestInstallersNetworkGoes: what the installer or the customer left for our
// ports is taken away, what is for others stays, and a second run finds
// nothing to do.
func TestInstallersNetworkGoes(t *testing.T) {
	t.Parallel()
	const nm, ifcfg = "/etc/NetworkManager/system-connections/", "/etc/sysconfig/network-scripts/"
	profiles := map[string]string{
		nm + "ens1.nmconnection":                           "[connection]\ntype=ethernet\ninterface-name=ens1\n",
		nm + "Wired connection 1.nmconnection":             "[connection]\ntype=ethernet\n",
		nm + "by mac.nmconnection":                         "[connection]\ntype=802-3-ethernet\n[ethernet]\nmac-address=52:54:00:00:00:02\n",
		nm + "old bond.nmconnection":                       "[connection]\ntype=bond\ninterface-name=bond0\n",
		nm + "ens7.nmconnection":                           "[connection]\ntype=ethernet\ninterface-name=ens7\n",
		nm + "ib0.nmconnection":                            "[connection]\ntype=infiniband\n",
		nm + "rackseed-bond7.nmconnection":                 "[connection]\ntype=bond\ninterface-name=bond7\n",
		ifcfg + "ifcfg-ens1":                               "DEVICE=\"ens1\"\n",
		ifcfg + "route-ens1":                               "10.0.0.0/8 via 10.1.1.1\n",
		ifcfg + "ifcfg-ens7":                               "DEVICE=ens7\n",
		ifcfg + "ifcfg-lo":                                 "DEVICE=lo\n",
		ifcfg + "ifcfg-rackseed-bond7":                     "DEVICE=bond7\n",
		"/etc/netplan/00-installer-config.yaml":            "network: {version: 2}\n",
		"/etc/network/interfaces":                          "auto ens1\niface ens1 inet dhcp\n",
		"/etc/resolv.conf":                                 "search example.net\nnameserver 10.20.0.9\n",
		"/etc/systemd/network/00-all.network":              "[Match]\nName=*\n",
		"/etc/systemd/network/10-rackseed-bond7.netdev":    "[NetDev]\nName=bond7\nKind=bond\n",
		"/usr/lib/systemd/system/systemd-networkd.service": "", "/usr/lib/systemd/system/NetworkManager.service": "",
		"/etc/cloud/cloud.cfg.d/05_logging.cfg": "",
	}
	ours := []string{nm + "ens1.nmconnection", nm + "Wired connection 1.nmconnection", nm + "by mac.nmconnection", nm + "old bond.nmconnection", nm + "rackseed-bond7.nmconnection",
		ifcfg + "ifcfg-ens1", ifcfg + "route-ens1", ifcfg + "ifcfg-rackseed-bond7"}
	for _, tt := range []struct {
		name  string
		image site.Image
		gone  []string
		text  map[string]string // of what must be there
	}{
		{"EL 9", image("rhel", "9.6"), ours, map[string]string{nm + "rackseed-p2.nmconnection": "mac-address=52:54:00:00:00:12\n", nm + "rackseed-bond0.nmconnection": "primary=ens1\n"}},
		{"Kylin V10", image("kylin", "V10"), ours, map[string]string{ifcfg + "ifcfg-rackseed-bond0": "miimon=100 primary=ens1\"\n", ifcfg + "ifcfg-rackseed-p3": "HWADDR=52:54:00:00:00:13\n"}},
		{"Ubuntu", image("ubuntu", "24.04"), []string{"/etc/netplan/00-installer-config.yaml"}, map[string]string{netplanFile: `macaddress: "52:54:00:00:00:11"`}},
		{"Debian", image("debian", "13"), []string{"/etc/systemd/network/10-rackseed-bond7.netdev"}, map[string]string{
			"/etc/network/interfaces": "iface lo inet loopback\n", "/etc/resolv.conf": "search example.net\nnameserver 10.22.0.53\n",
			"/etc/systemd/network/0-rackseed-p1.network": "PermanentMACAddress=52:54:00:00:00:11\n",
		}},
	} {
		for _, shell := range shells(t) {
			t.Run(tt.name+"/"+shell[0], func(t *testing.T) {
				t.Parallel()
				root := t.TempDir()
				for name, text := range profiles {
					putFile(t, root+name, text)
				}
				fake := commands(t, map[string]string{"systemctl": `case "$*" in *is-enabled*) for last; do :; done; [ ! -e "$ROOT/enabled/$last" ] || echo enabled ;; *" enable "*) for last; do :; done; mkdir -p "$ROOT/enabled" && : >"$ROOT/enabled/$last" ;; esac`})
				env := []string{"ROOT=" + root, "RACKSEED_NET_SYS=" + netMachine(t), "PATH=" + fake + ":" + os.Getenv("PATH")}
				script := netScript(t, tt.image)
				before := tree(t, root)
				out, err := runScript(t, shell, script, append(env, "RACKSEED_MODE=dry-run")...)
				if err != nil || !strings.Contains(out, "would change: ") {
					t.Fatalf("%v\n%s", err, out)
				}
				if diff := cmp.Diff(before, tree(t, root)); diff != "" {
					t.Fatalf("a dry run changed something:\n%s", diff)
				}
				if out, err := runScript(t, shell, script, env...); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				after := tree(t, root)
				removed := map[string]bool{}
				for name := range before {
					if _, there := after[name]; !there {
						removed[name] = true
					}
				}
				want := map[string]bool{}
				for _, name := range tt.gone {
					want[name] = true
				}
				if diff := cmp.Diff(want, removed); diff != "" {
					t.Errorf("removed (-want +got):\n%s", diff)
				}
				for name, text := range tt.text {
					if !strings.Contains(after[name], text) {
						t.Errorf("%s lacks %q:\n%s", name, text, after[name])
					}
				}
				if !strings.Contains(after["/etc/cloud/cloud.cfg.d/99-rackseed-network.cfg"], "network: {config: disabled}\n") {
					t.Error("cloud-init may still configure the network")
				}
				for name := range after {
					// networkd takes the first that matches, and a customer's may match everything.
					if strings.HasPrefix(name, "/etc/systemd/network/0-rackseed-") && name > "/etc/systemd/network/00-all.network" {
						t.Errorf("%s comes after what the customer left", name)
					}
				}
				for name, text := range after {
					if strings.Contains(text, "@MAC:") || strings.Contains(text, "@NAME:") {
						t.Errorf("%s has a mark left:\n%s", name, text)
					}
					if strings.HasSuffix(name, ".nmconnection") && !strings.HasPrefix(text, "-rw-------") {
						t.Errorf("%s: NetworkManager ignores what others may read: %.10s", name, text)
					}
				}
				out, err = runScript(t, shell, script, env...)
				if err != nil || out != "" {
					t.Errorf("a second run: %v\n%s", err, out)
				}
				if diff := cmp.Diff(after, tree(t, root)); diff != "" {
					t.Errorf("a second run changed something:\n%s", diff)
				}
			})
		}
	}
}

// TestNamesOfTheInstallerGo: the installer of openEuler 22.03 calls the port that booted netboot0, and
// would have the system do so for ever.
func TestNamesOfTheInstallerGo(t *testing.T) {
	t.Parallel()
	const link = "/etc/systemd/network/10-anaconda-ifname-netboot0.link"
	for _, tt := range []struct {
		name, udev, primary string
		keeps               bool
	}{
		{"on board", "echo ID_NET_NAME_MAC=enx525400000001; echo ID_NET_NAME_PATH=enp1s0f0; echo ID_NET_NAME_ONBOARD=eno1", "eno1", false},
		{"in a slot", "echo ID_NET_NAME_PATH=enp1s0f0; echo ID_NET_NAME_SLOT=ens1f0", "ens1f0", false},
		{"udev has no name for it", "exit 1", "netboot0", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root, sys := t.TempDir(), netMachine(t)
			if err := os.Rename(sys+"/ens1", sys+"/netboot0"); err != nil {
				t.Fatal(err)
			}
			putFile(t, root+link, "[Match]\nMACAddress=52:54:00:00:00:01\n\n[Link]\nName=netboot0\n")
			putFile(t, root+"/etc/NetworkManager/system-connections/netboot0.nmconnection", "[connection]\ntype=ethernet\ninterface-name=netboot0\n")
			fake := commands(t, map[string]string{"systemctl": "echo enabled", "udevadm": tt.udev})
			out, err := runScript(t, []string{"sh"}, netScript(t, image("openeuler", "22.03-LTS")), "ROOT="+root, "RACKSEED_NET_SYS="+sys, "PATH="+fake+":"+os.Getenv("PATH"))
			if err != nil && !strings.Contains(out, "no service") {
				t.Fatalf("%v\n%s", err, out)
			}
			after := tree(t, root)
			if text := after["/etc/NetworkManager/system-connections/rackseed-bond0.nmconnection"]; !strings.Contains(text, "primary="+tt.primary+"\n") {
				t.Errorf("want primary=%s:\n%s", tt.primary, text)
			}
			if _, there := after[link]; there != tt.keeps {
				t.Errorf("the name stays: %v, want %v", there, tt.keeps)
			}
			if _, there := after["/etc/NetworkManager/system-connections/netboot0.nmconnection"]; there {
				t.Error("the installer's profile is still there")
			}
		})
	}
}

// TestMissingPorts: a port that only its place says stops the run before
// anything is written; one whose MAC is planned may come later.
func TestMissingPorts(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, sys string)
		fails  bool
		want   string
	}{
		{"no card in the slot", func(t *testing.T, sys string) { removeFile(t, sys+"/ens3f0/device") }, true,
			"NIC p1 (0000:3b:00.0) is not in this machine, which has: ens1 52:54:00:00:00:01; ens2 52:54:00:00:00:02; ens3f0 52:54:00:00:00:11; ens3f1 52:54:00:00:00:12 at 0000:3b:00.1; ens9f0 52:54:00:00:00:13; correct nics.p1 in the plan"},
		{"another name", func(t *testing.T, sys string) {
			if err := os.Rename(sys+"/ens9f0", sys+"/ens9f0np0"); err != nil {
				t.Fatal(err)
			}
		}, true, "NIC p3 (ens9f0) is not in this machine"},
		{"two ports in one slot", func(t *testing.T, sys string) {
			putFile(t, sys+"/ens4/type", "1\n")
			putFile(t, sys+"/ens4/address", "52:54:00:00:00:44\n")
			if err := os.Symlink("../../../devices/pci0000:3a/0000:3b:00.0", sys+"/ens4/device"); err != nil {
				t.Fatal(err)
			}
		}, true, "NIC p1 (0000:3b:00.0) fits 2 ports of this machine"},
		{"a MAC that is not there", func(t *testing.T, sys string) { putFile(t, sys+"/ens1/address", "52:54:00:00:00:99\n") }, false, "NIC nic1 (52:54:00:00:00:01) is not in this machine"},
	} {
		for _, image := range []site.Image{image("rhel", "9"), image("kylin", "V10")} {
			t.Run(tt.name+"/"+image.Family, func(t *testing.T) {
				root, sys := t.TempDir(), netMachine(t)
				putFile(t, root+"/usr/lib/systemd/system/NetworkManager.service", "")
				tt.change(t, sys)
				fake := commands(t, map[string]string{"systemctl": "echo enabled"})
				out, err := runScript(t, []string{"sh"}, netScript(t, image), "ROOT="+root, "RACKSEED_NET_SYS="+sys, "PATH="+fake+":"+os.Getenv("PATH"))
				if (err != nil) != tt.fails || !strings.Contains(out, tt.want) {
					t.Errorf("got %v\n%s\nwant %s", err, out, tt.want)
				}
				_, statErr := os.Stat(root + "/etc")
				if tt.fails && statErr == nil {
					t.Error("something was written")
				}
				if data, _ := exec.Command("grep", "-r", "primary=", root).Output(); !tt.fails && len(data) > 0 {
					t.Errorf("a primary that is not there: %s", data)
				}
			})
		}
	}
}

func removeFile(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}
