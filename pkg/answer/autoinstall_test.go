package answer

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
)

func ubuntu(version string) site.Image {
	return site.Image{
		Name: "ubuntu", Digest: digest, Family: "ubuntu", Distro: "ubuntu", Version: version, Arch: "x86_64",
		Kernel: "casper/vmlinuz", Initrd: "casper/initrd", Repos: []string{"."},
	}
}

// onUbuntu is a target whose packages Ubuntu has, with a layout, on one disk
// or on two.
func onUbuntu(t testing.TB, version string, disks int) *Target {
	target := target(t, ubuntu(version))
	target.Intent.Layout = profile.Layout{Swap: 8 << 30, Volumes: []profile.Volume{
		{Name: "root", Mount: "/", Size: 50 << 30},
		{Name: "var", Mount: "/var", Size: 100 << 30, Grow: true},
		{Name: "var_log", Mount: "/var/log", Size: 20 << 30},
	}}
	if disks > 1 {
		target.Intent.Disks.System = []site.DiskSelector{{Model: "MZ7LH480", Count: disks}}
	}
	return target
}

func TestAutoinstallGolden(t *testing.T) {
	raid := onUbuntu(t, "22.04.4", 2)
	raid.Root, raid.MAC = hash, site.MAC{}
	medium := onUbuntu(t, "24.04.1", 1)
	medium.Medium, medium.Base, medium.Token = true, "", ""
	for name, target := range map[string]*Target{"ubuntu24.04": onUbuntu(t, "24.04.1", 1), "ubuntu22.04-raid": raid, "ubuntu24.04-medium": medium} {
		t.Run(name, func(t *testing.T) {
			a := render(t, target)
			golden(t, filepath.Join(name, "arguments"), strings.Join(a.Args, "\n")+"\n")
			// The scripts before this are looked at on their own.
			_, wishes, _ := strings.Cut(string(a.Files[0].Data), "\nautoinstall:\n")
			golden(t, filepath.Join(name, "autoinstall"), wishes)
			golden(t, filepath.Join(name, a.Files[1].Name), string(a.Files[1].Data))
		})
	}
}

// seed is what an installer finds in user data.
type seed struct {
	WriteFiles []struct{ Path, Permissions, Content string } `yaml:"write_files"`
	Wishes     map[string]any                                `yaml:"autoinstall"`
}

func readSeed(t *testing.T, a Answers) seed {
	t.Helper()
	var s seed
	if !strings.HasPrefix(string(a.Files[0].Data), "#cloud-config\n") {
		t.Fatal("without its first line cloud-init does not know what it is")
	}
	if err := yaml.UnmarshalWithOptions(a.Files[0].Data, &s, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s seed) script(t *testing.T, name string) string {
	t.Helper()
	for _, f := range s.WriteFiles {
		if f.Path == "/run/rackseed/"+name {
			return f.Content
		}
	}
	t.Fatalf("no script %s", name)
	return ""
}

// checkWishes holds what is under autoinstall against the reference of
// Ubuntu's installer: which keys there are, and what each of them takes.
func checkWishes(wishes map[string]any) error {
	text := func(v any) bool { _, ok := v.(string); return ok }
	commands := func(v any) bool {
		list, ok := v.([]any)
		return ok && !slices.ContainsFunc(list, func(c any) bool {
			words, many := c.([]any)
			return !text(c) && !many || slices.ContainsFunc(words, func(w any) bool { return !text(w) })
		})
	}
	object := func(keys ...string) func(any) bool {
		return func(v any) bool {
			m, ok := v.(map[string]any)
			for k := range m {
				ok = ok && (len(keys) == 0 || slices.Contains(keys, k))
			}
			return ok
		}
	}
	one := func(values ...string) func(any) bool {
		return func(v any) bool { s, ok := v.(string); return ok && slices.Contains(values, s) }
	}
	rules := map[string]func(any) bool{
		"version":        func(v any) bool { return fmt.Sprint(v) == "1" },
		"early-commands": commands, "late-commands": commands, "error-commands": commands,
		"refresh-installer": object("update", "channel"), "locale": text, "timezone": text,
		"keyboard": object("layout", "variant", "toggle"), "network": object(), "apt": object(), "storage": object("config", "swap"),
		"drivers": object("install"), "user-data": object(), "ssh": object("install-server", "allow-pw", "authorized-keys"),
		"updates": one("security", "all"), "shutdown": one("reboot", "poweroff"),
	}
	for key, v := range wishes {
		rule, ok := rules[key]
		if !ok {
			return fmt.Errorf("%s is no key of autoinstall", key)
		}
		if !rule(v) {
			return fmt.Errorf("%s may not be %v", key, v)
		}
	}
	for _, must := range []string{"version", "user-data", "storage"} {
		if wishes[must] == nil {
			return fmt.Errorf("%s is missing", must)
		}
	}
	return checkStorage(wishes["storage"].(map[string]any)["config"].([]any))
}

// checkStorage reads actions in their order, as curtin carries them out.
func checkStorage(actions []any) error {
	kinds, mounts, growing := map[string]string{}, map[string]bool{}, map[string]string{}
	for _, a := range actions {
		a := a.(map[string]any)
		id, kind := fmt.Sprint(a["id"]), fmt.Sprint(a["type"])
		if kinds[id] != "" {
			return fmt.Errorf("%s is there twice", id)
		}
		needs := map[string]map[string]string{
			"disk": {}, "partition": {"device": "disk"}, "raid": {"devices": "partition"}, "lvm_volgroup": {"devices": "partition raid"},
			"lvm_partition": {"volgroup": "lvm_volgroup"}, "format": {"volume": "partition raid lvm_partition"}, "mount": {"device": "format"},
		}[kind]
		if needs == nil {
			return fmt.Errorf("%s is of no kind: %s", id, kind)
		}
		for field, kindsThere := range needs {
			list, ok := a[field].([]any)
			if !ok {
				list = []any{a[field]}
			}
			for _, on := range list {
				if have := kinds[fmt.Sprint(on)]; have == "" || !slices.Contains(strings.Fields(kindsThere), have) {
					return fmt.Errorf("%s: %s is %v, which is %q so far", id, field, on, have)
				}
			}
		}
		for _, parent := range []any{a["device"], a["volgroup"]} {
			if p := fmt.Sprint(parent); parent != nil && growing[p] != "" && kind != "mount" {
				return fmt.Errorf("%s comes after %s, which takes what is left", id, growing[p])
			} else if fmt.Sprint(a["size"]) == "-1" {
				growing[p] = id
			}
		}
		if kind == "disk" && a["path"] == nil {
			return fmt.Errorf("%s may be any disk", id)
		}
		if path := fmt.Sprint(a["path"]); kind == "mount" {
			if mounts[path] {
				return fmt.Errorf("two mounts at %s", path)
			}
			mounts[path] = true
		}
		kinds[id] = kind
	}
	for _, must := range []string{"/", "/boot", "/boot/efi"} {
		if !mounts[must] {
			return fmt.Errorf("nothing at %s", must)
		}
	}
	return nil
}

func TestAutoinstallReadsAsMeant(t *testing.T) {
	for _, version := range []string{"22.04.4", "24.04.1"} {
		for disks := 1; disks <= 2; disks++ {
			for _, layout := range []profile.Layout{{}, {Swap: 4 << 30}} {
				bare := onUbuntu(t, version, disks)
				bare.Intent.Layout = layout
				if err := checkWishes(readSeed(t, render(t, bare)).Wishes); err != nil {
					t.Errorf("%s on %d disks without volumes: %v", version, disks, err)
				}
			}
			a := render(t, onUbuntu(t, version, disks))
			s := readSeed(t, a)
			if err := checkWishes(s.Wishes); err != nil {
				t.Errorf("%s on %d disks: %v", version, disks, err)
			}
			var names []string
			for _, f := range s.WriteFiles {
				names = append(names, f.Path+" "+f.Permissions)
			}
			if want := []string{"/run/rackseed/early.sh 0700", "/run/rackseed/tune.sh 0700", "/run/rackseed/late.sh 0700", "/run/rackseed/error.sh 0700"}; !slices.Equal(names, want) {
				t.Errorf("scripts %v, want %v", names, want)
			}
			want, err := tuneScript(onUbuntu(t, version, disks))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, s.script(t, "tune.sh")); diff != "" {
				t.Errorf("YAML changed the tuning (-want +got):\n%s", diff)
			}
			for _, seed := range []string{"user-data", "meta-data", "vendor-data"} {
				if !slices.ContainsFunc(a.Files, func(f File) bool { return f.Name == seed && len(f.Data) > 0 }) {
					t.Errorf("%s is missing", seed)
				}
			}
		}
	}
}

func TestAutoinstallArguments(t *testing.T) {
	a := render(t, onUbuntu(t, "24.04.1", 1))
	line := strings.Join(a.Args, " ")
	for _, want := range []string{
		"url=http://10.20.0.1:8080/images/" + digest + ".iso ", " autoinstall ", " ds=nocloud-net;s=http://10.20.0.1:8080/answer/T0KEN/ ",
		" cloud-config-url=/dev/null ", "BOOTIF=01-52-54-00-12-34-56", " --- console=tty0 console=ttyS0,115200n8",
	} {
		if !strings.Contains(line, want) {
			t.Errorf("no %q in %s", want, line)
		}
	}
}

func TestAutoinstallRefusals(t *testing.T) {
	for _, tt := range []struct {
		set  func(*Target)
		want string
	}{
		{func(t *Target) { t.Image.Version = "20.04.6" }, "22.04 or 24.04"},
		{func(t *Target) {
			t.Intent.Layout.Volumes = []profile.Volume{{Name: "var", Mount: "/var", Size: 1 << 30}}
		}, "no volume is mounted at /"},
		{func(t *Target) { t.Intent.Layout.Volumes[0].Name = "a b" }, "layout"},
		{func(t *Target) { t.Intent.Locale.Timezone = "UTC\nshutdown: x" }, "locale.timezone"},
		{func(t *Target) { t.Root = "hunter2" }, "access.root"},
		{func(t *Target) { t.Intent.Packages = []string{"nginx"} }, "nginx"},
	} {
		target := onUbuntu(t, "24.04", 1)
		tt.set(target)
		if _, err := Render(target); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
}

// TestYAMLStringsStayStrings: what is written is what is read, as a string,
// whatever it looks like.
func TestYAMLStringsStayStrings(t *testing.T) {
	holds := func(v string) error {
		text := yamlDocument(yamlMap{{"a", v}, {"b", []any{v, yamlMap{{"c", v}, {"d", 1}}}}, {"e", yamlMap{{"f", v}}}})
		var got any
		if err := yaml.Unmarshal([]byte(text), &got); err != nil {
			return fmt.Errorf("%q: %w\n%s", v, err, text)
		}
		want := map[string]any{"a": v, "b": []any{v, map[string]any{"c": v, "d": uint64(1)}}, "e": map[string]any{"f": v}}
		if diff := cmp.Diff(want, got); diff != "" {
			return fmt.Errorf("%q (-want +got):\n%s", v, diff)
		}
		return nil
	}
	for _, v := range append(hostile(), "yes", "No", "on", "null", "~", "1", "0755", "1e3", "0x10", "1_000", "12:30:45", "2024-01-01", "=", "<<", "", "-", "?", ":", "!x", "&x", "[a", "{a", "a: b", "a #b", "'a'", "Asia/Shanghai", ".inf", ".5", "_", "..", "---") {
		if !strings.ContainsFunc(v, func(r rune) bool { return r == '�' || endsLines(r) }) {
			if err := holds(v); err != nil {
				t.Error(err)
			}
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		if err := holds(rapid.StringMatching(`[ -~一-十]{0,20}`).Draw(r, "value")); err != nil {
			r.Fatal(err)
		}
	})
}

// pyYAML is the reader of cloud-init and of the installer.
func pyYAML(t *testing.T, program, in string) string {
	t.Helper()
	const python = "/usr/bin/python3" // the one that Debian's packages belong to
	if err := exec.Command(python, "-c", "import yaml").Run(); err != nil {
		t.Skip("needs python3-yaml: apt install cloud-init")
	}
	cmd := exec.Command(python, "-c", "import json, sys, yaml\n"+program)
	cmd.Stdin = strings.NewReader(in)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, in)
	}
	return string(out)
}

func TestPyYAMLReadsTheSame(t *testing.T) {
	var list []any
	for _, v := range append(hostile(), "yes", "No", "on", "null", "~", "0755", "1e3", "1:30", "2024-01-01", "=", "<<", "", "Asia/Shanghai", ".5") {
		if !strings.ContainsFunc(v, func(r rune) bool { return r == '�' || endsLines(r) }) {
			list = append(list, v)
		}
	}
	var got []any
	if err := json.Unmarshal([]byte(pyYAML(t, "print(json.dumps(yaml.safe_load(sys.stdin)['l']))", yamlDocument(yamlMap{{"l", list}}))), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(list, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCloudInitAcceptsTheSeed(t *testing.T) {
	if _, err := exec.LookPath("cloud-init"); err != nil {
		t.Skip("needs cloud-init: apt install cloud-init")
	}
	for name, target := range map[string]*Target{"one disk": onUbuntu(t, "24.04", 1), "two disks": onUbuntu(t, "22.04", 2)} {
		for _, f := range render(t, target).Files {
			if f.Name == "meta-data" {
				continue // it has no schema
			}
			file := filepath.Join(t.TempDir(), f.Name)
			if err := os.WriteFile(file, f.Data, 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command("cloud-init", "schema", "-c", file).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "Valid") {
				t.Errorf("%s, %s: %v\n%s", name, f.Name, err, out)
			}
		}
	}
}

// TestAutoinstallIsToldOfItsDisks does what the installer does: it writes
// what is under autoinstall to a file with PyYAML, runs the first script, and
// reads the file again.
func TestAutoinstallIsToldOfItsDisks(t *testing.T) {
	sda := disk{name: "sda", files: map[string]string{"device/model": "MZ7LH480\n", "device/vpd_pg80": "\x00\x80\x00\x05S3R01"}, links: []string{"by-id/wwn-0x5000c500a1b2c3d4"}}
	sdb := disk{name: "sdb", files: map[string]string{"device/model": "MZ7LH480\n", "device/vpd_pg80": "\x00\x80\x00\x05S3R02"}}
	nvme := disk{name: "nvme0n1", files: map[string]string{"device/model": "OTHER\n"}}
	for _, tt := range []struct {
		name  string
		efi   bool
		disks int // that the plan wants
		have  []disk
		paths []string // of the disks in the installer's file then; nil means that the install stops
	}{
		{"one, UEFI", true, 1, []disk{sda, sdb, nvme}, []string{"/dev/sda"}},
		{"one, BIOS", false, 1, []disk{sda, nvme}, []string{"/dev/sda"}},
		{"a mirror", true, 2, []disk{sda, sdb, nvme}, []string{"/dev/sda", "/dev/sdb"}},
		{"half a mirror", true, 2, []disk{sda, nvme}, nil},
		{"the disk is missing", true, 1, []disk{sdb}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target := onUbuntu(t, "24.04", tt.disks)
			s := readSeed(t, render(t, target))
			user, err := autoinstall(target)
			if err != nil {
				t.Fatal(err)
			}
			before := pyYAML(t, "print(yaml.dump(yaml.safe_load(sys.stdin)))", yamlDocument(user))
			config := filepath.Join(t.TempDir(), "autoinstall.yaml")
			if err := os.WriteFile(config, []byte(before), 0o600); err != nil {
				t.Fatal(err)
			}
			sys, dev := sysfs(t, tt.efi, tt.have...)
			told := filepath.Join(t.TempDir(), "told")
			mounts := filepath.Join(t.TempDir(), "mounts")
			if err := os.WriteFile(mounts, []byte("/dev/x /target ext4 rw 0 0\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			fake := commands(t, map[string]string{
				"curl": `for a; do case $a in http*/report/*) echo "${a##*/}" >>` + told + `;; esac; done`, "udevadm": "exit 0", "mdadm": "exit 0", "lvm": "exit 0", "wipefs": "exit 0", "blkid": "exit 2",
			})
			out, err := runScript(t, []string{"dash"}, s.script(t, "early.sh"), "PATH="+fake+":"+os.Getenv("PATH"), "RACKSEED_SYS="+sys, "RACKSEED_DEV="+dev,
				"RACKSEED_MOUNTS="+mounts, "RACKSEED_AUTOINSTALL="+config, "RACKSEED_CONSOLE=/dev/null", diskLog(t))
			after, readErr := os.ReadFile(config)
			if readErr != nil {
				t.Fatal(readErr)
			}
			if tt.paths == nil {
				if err == nil || string(after) != before {
					t.Errorf("the install goes on (%v):\n%s", err, out)
				}
				return
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			var wishes map[string]any
			if err := yaml.Unmarshal(after, &wishes); err != nil {
				t.Fatal(err)
			}
			var paths []string
			for _, a := range wishes["storage"].(map[string]any)["config"].([]any) {
				a := a.(map[string]any)
				flag, has := a["grub_device"]
				switch {
				case a["type"] == "disk":
					paths = append(paths, fmt.Sprint(a["path"]))
					if flag != !tt.efi {
						t.Errorf("%v: grub_device is %v", a["id"], flag)
					}
				case has && flag != tt.efi:
					t.Errorf("%v: grub_device is %v", a["id"], flag)
				}
			}
			if !slices.Equal(paths, tt.paths) {
				t.Errorf("disks %v, want %v", paths, tt.paths)
			}
			stages, err := os.ReadFile(told)
			if err != nil || !strings.HasPrefix(string(stages), "early\ndisk\npartitioned\n") {
				t.Errorf("stages %q, %v", stages, err)
			}
		})
	}
}

// TestAutoinstallLate runs the last script over a made-up target.
func TestAutoinstallLate(t *testing.T) {
	target := onUbuntu(t, "24.04", 1)
	target.Root = hash
	text := readSeed(t, render(t, target)).script(t, "late.sh")
	root, cdrom, told, log := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "told"), filepath.Join(t.TempDir(), "rs-tune.log")
	for _, dir := range []string{filepath.Join(root, "etc"), filepath.Join(cdrom, "dists")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "etc/os-release"), []byte("ID=ubuntu\nVERSION_CODENAME=noble\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// The scripts are in /run of the installer.
	tune := filepath.Join(t.TempDir(), "tune.sh")
	if err := os.WriteFile(tune, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	text = strings.ReplaceAll(text, installerFolder+"/tune.sh", tune)
	for _, fails := range []bool{false, true} {
		_ = os.Remove(told)
		fake := commands(t, map[string]string{
			"curl":   `stage=; detail=; while [ $# -gt 0 ]; do case $1 in --data-raw) detail=$2; shift;; http*/report/*) stage=${1##*/};; esac; shift; done; echo "$stage $detail" >>` + told,
			"curtin": `echo "curtin $*" >>` + told + `; cat ` + root + `/etc/apt/sources.list.d/* 2>/dev/null >>` + told + ` || :` + map[bool]string{true: "; echo 'rackseed: no tuned'; exit 1", false: ""}[fails],
			"mount":  `echo "mount $*" >>` + told, "umount": `echo "umount $*" >>` + told, "mountpoint": "exit 1",
		})
		_, err := runScript(t, []string{"dash"}, text, "PATH="+fake+":"+os.Getenv("PATH"), "RACKSEED_TARGET="+root, "RACKSEED_CDROM="+cdrom, "RACKSEED_TUNE_LOG="+log)
		said, readErr := os.ReadFile(told)
		if readErr != nil {
			t.Fatal(readErr)
		}
		if fails {
			if err == nil || !strings.Contains(string(said), "failed late-commands stopped: no tuned") || strings.Contains(string(said), "done") {
				t.Errorf("a failing command: %v\n%s", err, said)
			}
			continue
		}
		// The pool of the medium is there for the packages, and gone before the system is.
		in := "curtin in-target --target=" + root + " -- "
		want := "post \nmount --bind " + cdrom + " " + root + "/cdrom\n" +
			in + "env RACKSEED_PACKAGES=openssh-server chrony curl sudo python3 sh /run-rackseed-tune.sh\ndeb [trusted=yes check-date=no] file:///cdrom noble main restricted\n" +
			"umount " + root + "/cdrom\n" + in + "usermod -p " + hash + " root\n" + in + "ssh-keygen -A\ndone \n"
		if diff := cmp.Diff(want, string(said)); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		if _, err := os.Stat(filepath.Join(root, "etc/cloud/cloud-init.disabled")); err != nil {
			t.Error(err)
		}
	}
}

// TestNoValueChangesTheSeed: whatever a value is, the seed has the same keys
// and its scripts the same commands, or the rendering is refused.
func TestNoValueChangesTheSeed(t *testing.T) {
	t.Parallel()
	static := embedded(t)
	shape := func(f field, value string) (string, error) {
		target := onUbuntu(t, "24.04", 1)
		f.set(target, value)
		if f.name == "version" {
			target.Image.Version = "24.04"
		}
		a, err := Render(target)
		if err != nil {
			return "", err
		}
		a.Files[0].Data = []byte(static.leftOut(string(a.Files[0].Data)))
		s := readSeed(t, a)
		var b strings.Builder
		for _, script := range s.WriteFiles {
			fmt.Fprintf(&b, "%s %s\n%s", script.Path, script.Permissions, shellShape(script.Content))
		}
		writeShape(&b, s.Wishes)
		var meta any
		if err := yaml.Unmarshal(a.Files[1].Data, &meta); err != nil {
			t.Errorf("%s %q: %v", f.name, value, err)
		}
		writeShape(&b, meta)
		return b.String(), nil
	}
	for _, f := range fields() {
		plain, err := shape(f, strings.TrimPrefix(f.plain, "http://"))
		if err != nil {
			t.Fatalf("%s: %v", f.name, err)
		}
		for _, value := range hostile() {
			if f.name == "root" && value == "" {
				continue
			}
			if got, err := shape(f, value); err == nil && got != plain {
				t.Errorf("%s %q changes the structure (-plain +got):\n%s", f.name, value, cmp.Diff(plain, got))
			}
		}
	}
}

// writeShape writes keys in order and leaves values out.
func writeShape(b *strings.Builder, v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			b.WriteString(key + "{")
			writeShape(b, v[key])
			b.WriteString("}")
		}
	case []any:
		for _, one := range v {
			b.WriteString("[")
			writeShape(b, one)
			b.WriteString("]")
		}
	default:
		fmt.Fprintf(b, "%T", v)
	}
}
