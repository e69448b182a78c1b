package bundle

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/answer"
	"github.com/rackseed/rackseed/pkg/site"
)

// The node has a bond of two ports, which scene makes for it.
const networkPlan = `
site: bundle
domain: lab.example.net
access: {root: locked}
provision: {network: provision}
networks:
  provision: {subnet: 10.20.0.0/16, gateway: 10.20.0.1, dns: [10.20.0.1], ntp: [10.20.0.1]}
  management: {subnet: 10.22.0.0/16, vlan: 122, gateway: 10.22.0.1, dns: [10.22.0.53]}
roles:
  nfv:
    profile: compute
    hardware: {arch: x86_64, sockets: 2, cores: 8, threads: 2, memory: 64GiB, boot: uefi}
    bonds: {bond0: {nics: [nic1, nic2]}}
    networks: {management: bond0}
nodes:
  - name: nfv-1
    role: nfv
    mac: [52:54:00:00:00:01, 52:54:00:00:00:02]
    addresses: {provision: 10.20.1.1, management: 10.22.1.1}
    disks: {system: [{serial: S1}]}
`

const oldNetwork = "# The customer's.\nauto ens1\niface ens1 inet dhcp\n"

// standIns are for what no system without a running systemd can do. They write
// down what was asked of them, and whose files were there then; the rest is
// real, so what only reads or links units is left to the real systemctl.
func standIns(t *testing.T, h *host) {
	t.Helper()
	const record = `#!/bin/sh
whose=old
[ ! -e /etc/systemd/network/0-rackseed-bond0.netdev ] || whose=new
told() { echo "$* ($whose files)" >>/root/asked; }
`
	h.write(t, "root/fake/systemctl", record+`
case "$*" in
*is-active*) cat /root/networkd ;;
*is-enabled* | *enable* | *disable*) exec /usr/bin/systemctl "$@" ;;
*rackseed-network-rollback*) ;;
*) told systemctl "$@" && [ ! -e /root/fail ] ;;
esac
`, 0o755)
	// As networkd, it makes the link that the new files ask for.
	h.write(t, "root/fake/networkctl", record+`
told networkctl "$@"
[ "$*" != reload ] || [ $whose = old ] || ip link add bond0 type bridge
`, 0o755)
	for _, name := range []string{"ifup", "ifdown"} {
		h.write(t, "root/fake/"+name, record+"told "+name+` "$@"`+"\n", 0o755)
	}
	// scene COMMANDS: both ports of the plan are there, and one that is not in it.
	h.write(t, "root/scene", `
export PATH=/root/fake:$PATH
rm -rf /root/asked
ip link add ens1 address 52:54:00:00:00:01 type veth peer name ens2 address 52:54:00:00:00:02
bundle() { sh /root/bundle.sh "$@"; echo "status $?"; }
# taken_back waits for the end of the rollback.
taken_back() {
	until [ -e /var/lib/rackseed/network/rolled-back ] && [ ! -e /var/lib/rackseed/network/rolling-back ]; do sleep 0.1; done
}
links() { for link in /sys/class/net/*; do echo "link ${link##*/}"; done; }
`, 0o644)
}

// scene plays commands in one set of namespaces, for what waits ends with them.
func (h *host) scene(t *testing.T, commands string) (out string, asked []string) {
	t.Helper()
	out = h.must(t, "sh", "-c", ". /root/scene\n"+commands)
	data, err := os.ReadFile(filepath.Join(h.root, "root/asked"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return out, strings.Split(strings.TrimSpace(string(data)), "\n")
}

// files are the system's files and links, without what the test and the state
// of the change keep.
func (h *host) files(t *testing.T) map[string]string {
	t.Helper()
	all := h.snapshot(t)
	maps.DeleteFunc(all, func(name, about string) bool {
		return !strings.HasPrefix(about, "-") && !strings.HasPrefix(about, "L") ||
			strings.HasPrefix(name, "/var/lib/rackseed/") || strings.HasPrefix(name, "/root/")
	})
	return all
}

// TestNetworkChangeInDebian: a change of the network of a running system goes
// back unless it is confirmed, whoever had the network before.
func TestNetworkChangeInDebian(t *testing.T) {
	image := site.Image{Name: "debian", Family: "debian", Distro: "debian", Version: "12", Arch: "x86_64"}
	data, err := answer.Bundle(&answer.Target{Intent: intent(t, networkPlan), Image: image})
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(t, data)
	standIns(t, h)
	h.write(t, "etc/network/interfaces", oldNetwork, 0o640)
	h.write(t, "etc/systemd/network/50-customer.network", "[Match]\nName=ens1\n\n[Network]\nDHCP=yes\n", 0o644)
	h.must(t, "sh", "/root/bundle.sh") // so that nothing but the network is left to change

	changed := []string{
		"ifdown -a --force (old files)",
		"systemctl restart systemd-networkd (new files)",
		"networkctl reload (new files)",
	}
	for _, tt := range []struct {
		name     string
		networkd string // what systemctl is-active says
		prepare  string
		change   []string // what is asked of the system, in this order
		back     []string
	}{
		{"ifupdown has it", "inactive", "systemctl -q disable systemd-networkd; rm -f /etc/resolv.conf; echo 'nameserver 192.0.2.53' >/etc/resolv.conf", changed, []string{
			"systemctl stop systemd-networkd.socket systemd-networkd (old files)", "ifup -a --force (old files)",
		}},
		{"networkd has it", "active", "systemctl -q enable systemd-networkd; ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf", changed[1:], []string{
			"networkctl reload (old files)", "networkctl reconfigure ens1 (old files)", "networkctl reconfigure ens2 (old files)", "networkctl reconfigure lo (old files)",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h.write(t, "root/networkd", tt.networkd+"\n", 0o644)
			h.must(t, "sh", "-c", tt.prepare)
			before, untouched := h.files(t), h.snapshot(t)
			whole := slices.Concat(tt.change, tt.back)

			t.Run("dry run", func(t *testing.T) {
				out := h.must(t, "sh", "/root/bundle.sh", "--network", "--dry-run")
				h.unchanged(t, "a dry run", untouched)
				has(t, out, "would change: /etc/systemd/network/0-rackseed-nic1.network\n", "would change: /etc/systemd/network/0-rackseed-bond0.122.netdev\n", "nothing was changed.\n")
			})
			t.Run("nobody confirms", func(t *testing.T) {
				out, asked := h.scene(t, "export RACKSEED_CONFIRM_WITHIN=5; bundle --network; links; taken_back; echo back; links; bundle --confirm-network")
				then, now, _ := strings.Cut(out, "back\nlink ")
				has(t, then, "changed: /etc/systemd/network/0-rackseed-nic1.network\n", "Confirm it within 5 seconds", "status 0\nlink bond0\n")
				has(t, now, "no change of the network waits for a confirmation; rackseed: the network was not confirmed: the old one is back\nstatus 1\n")
				if strings.Contains(now, "bond0\n") {
					t.Errorf("a link of the new network stays:\n%s", out)
				}
				h.asBefore(t, before, out)
				asks(t, whole, asked)
			})
			t.Run("the change fails", func(t *testing.T) {
				out, asked := h.scene(t, "touch /root/fail; bundle --network; rm /root/fail; bundle --confirm-network")
				has(t, out, "Not complete:\n  the network could not be changed; the old one is back\nstatus 1\n", "the old one is back\nstatus 1\n")
				h.asBefore(t, before, out)
				asks(t, slices.Concat(tt.change[:len(tt.change)-1], tt.back), asked)
			})
			t.Run("a timer that is left over", func(t *testing.T) {
				out, _ := h.scene(t, `
touch /root/fail; RACKSEED_CONFIRM_WITHIN=4 bundle --network; rm /root/fail
pgrep -fx 'sleep 4' >/dev/null && echo left over
RACKSEED_CONFIRM_WITHIN=600 bundle --network
while pgrep -fx 'sleep 4|/bin/sh /var/lib/rackseed/network/rollback .*' >/dev/null; do sleep 0.1; done
[ -e /var/lib/rackseed/network/pending ] && echo waits
sh /var/lib/rackseed/network/rollback`)
				has(t, out, "left over\n", "waits\n")
				h.asBefore(t, before, out)
			})
			t.Run("no time that can be waited for", func(t *testing.T) {
				out, asked := h.scene(t, "RACKSEED_CONFIRM_WITHIN=soon bundle --network")
				has(t, out, "Not complete:\n  RACKSEED_CONFIRM_WITHIN=soon is not a number of seconds; the network was left alone\nstatus 1\n")
				h.asBefore(t, before, out)
				asks(t, []string{""}, asked)
			})
			t.Run("confirmed", func(t *testing.T) {
				out, asked := h.scene(t, "export RACKSEED_CONFIRM_WITHIN=600; bundle --network; echo again; bundle --network; echo confirm; bundle --confirm-network; bundle --confirm-network; echo after; bundle --network")
				_, rest, _ := strings.Cut(out, "again\n")
				again, rest, _ := strings.Cut(rest, "confirm\n")
				confirm, after, _ := strings.Cut(rest, "after\n")
				has(t, again, "Not complete:\n  a change of the network still waits for its confirmation: sh /root/bundle.sh --confirm-network\nstatus 1\n")
				has(t, confirm, "The network of the plan stays.\nstatus 0\n", "no change of the network waits for a confirmation; none was made\nstatus 1\n")
				has(t, after, "Nothing to change: this system is what nfv-1 must be.\nstatus 0\n")
				asks(t, tt.change, asked)
				// What was waiting is asked to take it back, as if its time were over now.
				planned := h.files(t)
				h.must(t, "sh", "/var/lib/rackseed/network/rollback")
				h.asBefore(t, planned, "a rollback that comes too late")
				for name, text := range map[string]string{
					"0-rackseed-nic1.network":      "PermanentMACAddress=52:54:00:00:00:01\n",
					"0-rackseed-nic2.network":      "Bond=bond0\n",
					"0-rackseed-bond0.122.network": "Address=10.22.1.1/16\n",
				} {
					has(t, h.must(t, "cat", "/etc/systemd/network/"+name), text)
				}
				has(t, h.must(t, "cat", "/etc/network/interfaces"), "systemd-networkd has the network")
				has(t, h.must(t, "systemctl", "is-enabled", "systemd-networkd"), "enabled\n")
			})
			h.must(t, "sh", "-c", "rm -f /etc/systemd/network/0-rackseed-*")
			h.write(t, "etc/network/interfaces", oldNetwork, 0o640)
		})
	}
}

func (h *host) asBefore(t *testing.T, before map[string]string, out string) {
	t.Helper()
	if diff := cmp.Diff(before, h.files(t)); diff != "" {
		t.Errorf("not as before (-before +after):\n%s\n%s", diff, out)
	}
}

func has(t *testing.T, out string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(out, want) {
			t.Errorf("there is no %q in:\n%s", want, out)
		}
	}
}

func asks(t *testing.T, want, got []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("asked of the system (-want +got):\n%s", diff)
	}
}
