package answer

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// filled gives files as they are on the machine, with the marks filled in.
func filled(t *testing.T, style netStyle) []netFile {
	t.Helper()
	files, err := networkFiles(style, "cs-hci-01", hyperconverged())
	if err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("@MAC:p1@", "52:54:00:00:00:11", "@MAC:p2@", "52:54:00:00:00:12", "@MAC:p3@", "52:54:00:00:00:13", "@NAME:nic1@", "ens1")
	for i := range files {
		files[i].text = fill.Replace(files[i].text)
		if strings.Contains(files[i].text, "@") {
			t.Fatalf("%s has a mark that nothing fills in:\n%s", files[i].path, files[i].text)
		}
	}
	return files
}

// TestNetworkManagerReadsKeyfiles has NetworkManager's own parser write each
// profile again: what it did not understand would be missing then.
func TestNetworkManagerReadsKeyfiles(t *testing.T) {
	if _, err := exec.LookPath("nmcli"); err != nil {
		t.Skip("needs nmcli: apt install network-manager")
	}
	for _, f := range filled(t, keyfileStyle) {
		if !strings.HasSuffix(f.path, ".nmconnection") {
			continue
		}
		t.Run(filepath.Base(f.path), func(t *testing.T) {
			// Setting what is there already changes nothing.
			cmd := within(t, "nmcli", "--offline", "connection", "modify", "connection.autoconnect-priority", "10")
			cmd.Stdin = strings.NewReader(f.text)
			var said bytes.Buffer
			cmd.Stderr = &said
			out, err := cmd.Output()
			if err != nil && strings.Contains(said.String(), "offline") {
				t.Skip("needs nmcli 1.40 or later: " + said.String())
			}
			if err != nil || said.Len() > 0 {
				t.Fatalf("%v: %s", err, said.String())
			}
			if want, got := keys(f.text), keys(string(out)); !slices.Equal(want, got) {
				t.Errorf("read\n%s\nfor\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

// keys gives section.key=value of a keyfile, sorted.
func keys(text string) []string {
	var all []string
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			section = strings.Trim(line, "[]")
		default:
			all = append(all, section+"."+line)
		}
	}
	slices.Sort(all)
	return all
}

// TestNetplanTakesItsFile has netplan translate for networkd, which is what
// it does at boot.
func TestNetplanTakesItsFile(t *testing.T) {
	if _, err := exec.LookPath("netplan"); err != nil {
		t.Skip("needs netplan: apt install netplan.io")
	}
	root := t.TempDir()
	for _, f := range filled(t, netplanStyle) {
		path := filepath.Join(root, f.path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(f.text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := within(t, "netplan", "generate", "--root-dir", root).CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v: %s", err, out)
	}
	for name, wants := range map[string][]string{
		"bond0.netdev":      {"Mode=active-backup", "MIIMonitorSec=100ms"},
		"bond1.netdev":      {"Mode=802.3ad", "LACPTransmitRate=fast", "TransmitHashPolicy=layer3+4", "UpDelaySec=200ms", "MTUBytes=9000"},
		"nic1.network":      {"PermanentMACAddress=52:54:00:00:00:01", "Bond=bond0", "PrimarySlave=true"},
		"bond0.network":     {"DHCP=ipv4", "RequiredForOnline=no", "UseRoutes=false", "VLAN=bond0.122"},
		"bond0.122.netdev":  {"Id=122"},
		"bond0.122.network": {"Address=10.22.1.1/16", "DNS=10.22.0.53", "Gateway=10.22.0.1"},
		"bond1.123.network": {"Address=10.23.1.1/16", "Destination=10.33.0.0/16", "Gateway=10.23.0.1"},
		"p3.network":        {"PermanentMACAddress=52:54:00:00:00:13", "VLAN=p3.126"},
	} {
		data, err := os.ReadFile(filepath.Join(root, "run/systemd/network/10-netplan-"+name))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, want := range wants {
			if !slices.Contains(strings.Split(string(data), "\n"), want) {
				t.Errorf("%s lacks %s:\n%s", name, want, data)
			}
		}
	}
}

// TestNetworkdReadsItsFiles starts systemd-networkd on an empty network: it
// names each line that it does not understand.
func TestNetworkdReadsItsFiles(t *testing.T) {
	networkd := "/usr/lib/systemd/systemd-networkd"
	if _, err := os.Stat(networkd); err != nil {
		t.Skip("needs systemd-networkd: apt install systemd")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: network namespaces")
	}
	run := func(files []netFile) string {
		dir := t.TempDir()
		for _, f := range files {
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(f.path)), []byte(f.text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		// It reads its files before it says that it has enumerated what is there.
		const script = `mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/network /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp &&
chown -R systemd-network /run/systemd/netif && cp "$1"/* /run/systemd/network/ && chmod 0644 /run/systemd/network/* &&
SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console timeout 60 "$2" >"$1/log" 2>&1 &
while ! grep -q 'Enumeration completed\|rtnl: ' "$1/log" 2>/dev/null && kill -0 $! 2>/dev/null; do sleep 0.1; done
kill $!; wait`
		out, err := within(t, "unshare", "--net", "--mount", "--pid", "--fork", "sh", "-c", script, "sh", dir, networkd).CombinedOutput()
		log, _ := os.ReadFile(filepath.Join(dir, "log"))
		if !strings.Contains(string(log), "Enumeration completed") {
			t.Skipf("needs systemd-networkd that starts in a namespace: %v %s%s", err, out, log)
		}
		return string(log)
	}
	complaints := func(log string) []string {
		var all []string
		for line := range strings.Lines(log) {
			if strings.Contains(line, "/run/systemd/network/") && (strings.Contains(line, "Unknown") || strings.Contains(line, "Failed to parse") || strings.Contains(line, "ignoring")) {
				all = append(all, line)
			}
		}
		return all
	}
	if got := complaints(run([]netFile{{"0644", "/10-x.network", "[Match]\nName=x\n[Network]\nBonded=y\n"}})); len(got) == 0 {
		t.Fatal("it does not complain about a key that there is none of, so its silence says nothing")
	}
	for _, line := range complaints(run(filled(t, networkdStyle))) {
		t.Error(line)
	}
}
