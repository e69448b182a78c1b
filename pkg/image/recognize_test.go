package image

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// files makes a medium; a name without "=" has its own name as content.
func files(list ...string) fstest.MapFS {
	medium := fstest.MapFS{}
	for _, f := range list {
		name, content, ok := strings.Cut(f, "=")
		if !ok {
			content = name
		}
		medium[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return medium
}

func with(base fstest.MapFS, list ...string) fstest.MapFS {
	medium := files(list...)
	for name, f := range base {
		medium[name] = f
	}
	return medium
}

// A repository with one group.
const (
	index = `repodata/repomd.xml=<repomd><data type="group"><location href="repodata/comps.xml"/></data></repomd>`
	core  = `repodata/comps.xml=<comps><group><id>core</id></group></comps>`
)

const kernelSum = "images/pxeboot/vmlinuz" // content equals name

var (
	pxeboot = files("images/pxeboot/vmlinuz", "images/pxeboot/initrd.img", "images/install.img")
	el      = with(pxeboot, "BaseOS/"+index, "BaseOS/"+core, "AppStream/"+index, "AppStream/"+core)
	flat    = with(pxeboot, index, core)
)

// elTreeinfo is laid out as productmd writes it.
func elTreeinfo(family, version, arch string) string {
	return fmt.Sprintf(`.treeinfo=[checksums]
images/pxeboot/vmlinuz = sha256:%x

[general]
; WARNING.0 = This section provides compatibility with pre-productmd treeinfos.
arch = %s
family = %s
name = %[3]s %s
packagedir = AppStream/Packages
variants = AppStream,BaseOS
version = %[4]s

[images-%[2]s]
initrd = images/pxeboot/initrd.img
kernel = images/pxeboot/vmlinuz

[stage2]
mainimage = images/install.img

[tree]
arch = %[2]s
variants = AppStream,BaseOS

[variant-AppStream]
id = AppStream
repository = AppStream

[variant-BaseOS]
id = BaseOS
repository = BaseOS
`, sha256.Sum256([]byte(kernelSum)), arch, family, version)
}

func flatTreeinfo(family, version, arch string) string {
	return fmt.Sprintf(`.treeinfo=[general]
family = %s
version = %s
arch = %s
variant = Server
packagedir =
[stage2]
mainimage = images/install.img
[images-%[3]s]
kernel = images/pxeboot/vmlinuz
initrd = images/pxeboot/initrd.img
`, family, version, arch)
}

func TestRecognize(t *testing.T) {
	anaconda := func(family Family, distro, version, arch string, repos ...string) Media {
		var groups []string
		if len(repos) > 0 {
			groups = []string{"core"}
		}
		return Media{Groups: groups, Family: family, Distro: distro, Version: version, Arch: arch,
			Kernel: "images/pxeboot/vmlinuz", Initrd: "images/pxeboot/initrd.img", Stage2: "images/install.img", Repos: repos}
	}
	apt := func(family Family, distro, version, codename, arch, kernel, initrd string) Media {
		return Media{Family: family, Distro: distro, Version: version, Codename: codename, Arch: arch,
			Kernel: kernel, Initrd: initrd, Repos: []string{"."}}
	}
	const netboot = "dists/trixie/main/installer-amd64/current/images/netboot/debian-installer/amd64/"
	tests := []struct {
		name, label string
		medium      fstest.MapFS
		want        Media
		warnings    []string // a part of each
		handle      string   // the default name
	}{
		{"Rocky 9", "", with(el, elTreeinfo("Rocky Linux", "9.4", "x86_64")),
			anaconda(RHEL, "rocky", "9.4", "x86_64", "BaseOS", "AppStream"), nil, "rocky9"},
		{"AlmaLinux 8 on ARM", "", with(el, elTreeinfo("AlmaLinux", "8.10", "aarch64")),
			anaconda(RHEL, "almalinux", "8.10", "aarch64", "BaseOS", "AppStream"), nil, "almalinux8-aarch64"},
		{"CentOS Stream 10", "", with(el, elTreeinfo("CentOS Stream", "10", "x86_64")),
			anaconda(RHEL, "centos", "10", "x86_64", "BaseOS", "AppStream"), nil, "centos10"},
		{"CentOS 8", "", with(el, elTreeinfo("CentOS Linux", "8", "x86_64")),
			anaconda(RHEL, "centos", "8", "x86_64", "BaseOS", "AppStream"), nil, "centos8"},
		{"RHEL 9", "", with(el, elTreeinfo("Red Hat Enterprise Linux", "9.4", "x86_64")),
			anaconda(RHEL, "rhel", "9.4", "x86_64", "BaseOS", "AppStream"), nil, "rhel9"},
		{"a rebuild of RHEL", "", with(el, elTreeinfo("Oracle Linux", "9.4", "x86_64")),
			anaconda(RHEL, "oracle-linux", "9.4", "x86_64", "BaseOS", "AppStream"), []string{"rebuild of RHEL"}, "oracle-linux9"},
		{"openEuler 20.03", "", with(flat, flatTreeinfo("openEuler", "20.03-LTS", "x86_64")),
			anaconda(OpenEuler, "openeuler", "20.03-LTS", "x86_64", "."), nil, "openeuler20.03"},
		{"openEuler 22.03", "", with(flat, flatTreeinfo("openEuler", "22.03-LTS-SP3", "aarch64")),
			anaconda(OpenEuler, "openeuler", "22.03-LTS-SP3", "aarch64", "."), nil, "openeuler22.03-aarch64"},
		{"openEuler 24.03", "", with(flat, flatTreeinfo("openEuler", "24.03-LTS", "x86_64")),
			anaconda(OpenEuler, "openeuler", "24.03-LTS", "x86_64", "."), nil, "openeuler24.03"},
		{"Kylin V10", "", with(flat, flatTreeinfo("Kylin Linux Advanced Server", "V10", "x86_64")),
			anaconda(Kylin, "kylin", "V10", "x86_64", "."), nil, "kylin10"},
		{"network-install ISO", "", with(pxeboot, elTreeinfo("Rocky Linux", "9.4", "x86_64")),
			anaconda(RHEL, "rocky", "9.4", "x86_64"), []string{"no packages on this medium"}, "rocky9"},
		{"paths that lead out of the medium", "", with(flat, ".treeinfo=[general]\nfamily=openEuler\nversion=22.03-LTS\narch=x86_64\n[images-x86_64]\nkernel=../../etc/shadow\ninitrd=/etc/shadow\n[stage2]\nmainimage=../x\n"),
			anaconda(OpenEuler, "openeuler", "22.03-LTS", "x86_64", "."), nil, "openeuler22.03"},
		{"text that would steer a terminal", "", with(flat, ".treeinfo=[general]\nfamily=openEuler\nversion=22.03\x1b[2J$(reboot)\narch=x86_64\n"),
			anaconda(OpenEuler, "openeuler", "22.03[2J(reboot)", "x86_64", "."), nil, "openeuler22.03"},
		{"lost .treeinfo, Kylin", "Kylin-Server-10", with(flat, "EFI/BOOT/BOOTAA64.EFI"),
			anaconda(Kylin, "kylin", "V10", "aarch64", "."), []string{"by its label"}, "kylin10-aarch64"},
		{"lost .treeinfo, openEuler", "openEuler-22.03-LTS-SP3-x86_64", flat,
			anaconda(OpenEuler, "openeuler", "22.03-LTS-SP3", "x86_64", "."), []string{"by its label"}, "openeuler22.03"},
		{"lost .treeinfo, Rocky", "Rocky-9-4-x86_64-dvd", el,
			anaconda(RHEL, "rocky", "9.4", "x86_64", "BaseOS", "AppStream"), []string{"by its label"}, "rocky9"},
		{"lost .treeinfo, CentOS Stream", "CentOS-Stream-9-BaseOS-x86_64", el,
			anaconda(RHEL, "centos", "9", "x86_64", "BaseOS", "AppStream"), []string{"by its label"}, "centos9"},

		{"Debian 13, a mirror in an ISO", "", files(`.disk/info=Debian GNU/Linux 13.1.0 "Trixie" - Official amd64 DVD Binary-1 with firmware 20250906-10:22`,
			"dists/trixie/Release", netboot+"linux", netboot+"initrd.gz", "install.amd/vmlinuz", "install.amd/initrd.gz"),
			apt(Debian, "debian", "13.1.0", "trixie", "x86_64", netboot+"linux", netboot+"initrd.gz"), nil, "debian13"},
		{"Debian 12 netinst", "", files(`.disk/info=Debian GNU/Linux 12.5.0 "Bookworm" - Official amd64 NETINST with firmware 20240210-11:27`,
			"dists/bookworm/Release", "install.amd/vmlinuz", "install.amd/initrd.gz"),
			apt(Debian, "debian", "12.5.0", "bookworm", "x86_64", "install.amd/vmlinuz", "install.amd/initrd.gz"),
			[]string{"looks for a CD"}, "debian12"},
		{"Debian 11 on ARM, old quotes", "", files(`.disk/info=Debian GNU/Linux 11.9.0 _Bullseye_ - Official arm64 DVD Binary-1 20240210-12:00`,
			"dists/bullseye/Release", "install.a64/vmlinuz", "install.a64/initrd.gz"),
			apt(Debian, "debian", "11.9.0", "bullseye", "aarch64", "install.a64/vmlinuz", "install.a64/initrd.gz"),
			[]string{"looks for a CD"}, "debian11-aarch64"},
		{"Ubuntu 22.04", "", files(`.disk/info=Ubuntu-Server 22.04.4 LTS "Jammy Jellyfish" - Release amd64 (20240216.1)`,
			"dists/jammy/Release", "casper/vmlinuz", "casper/initrd"),
			apt(Ubuntu, "ubuntu", "22.04.4", "jammy", "x86_64", "casper/vmlinuz", "casper/initrd"), nil, "ubuntu22.04"},
		{"Ubuntu 24.04 on ARM", "", files(`.disk/info=Ubuntu-Server 24.04.1 LTS "Noble Numbat" - Release arm64 (20240827)`,
			"dists/noble/Release", "casper/vmlinuz", "casper/initrd"),
			apt(Ubuntu, "ubuntu", "24.04.1", "noble", "aarch64", "casper/vmlinuz", "casper/initrd"), nil, "ubuntu24.04-aarch64"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := recognize(disc{FS: tt.medium, label: tt.label})
			if err != nil {
				t.Fatal(err)
			}
			warnings := got.Warnings
			got.Warnings = nil
			tt.want.Label = tt.label
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if len(warnings) != len(tt.warnings) {
				t.Fatalf("warnings %q, want %d", warnings, len(tt.warnings))
			}
			for i, part := range tt.warnings {
				if !strings.Contains(warnings[i], part) {
					t.Errorf("warning %q lacks %q", warnings[i], part)
				}
			}
			if name := defaultName(got); name != tt.handle {
				t.Errorf("default name %q, want %q", name, tt.handle)
			}
		})
	}
}

func TestRemasteredBootFileIsAWarning(t *testing.T) {
	medium := with(el, elTreeinfo("Rocky Linux", "9.4", "x86_64"))
	medium["images/pxeboot/vmlinuz"] = &fstest.MapFile{Data: []byte("with a driver added")}
	got, err := recognize(disc{FS: medium})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "images/pxeboot/vmlinuz differs") {
		t.Errorf("warnings %q", got.Warnings)
	}
}

func TestRefusedMedia(t *testing.T) {
	debian := `.disk/info=Debian GNU/Linux 12.5.0 "Bookworm" - Official amd64 DVD Binary-2`
	for _, tt := range []struct {
		name, label string
		medium      fstest.MapFS
		want        error
		says        string
	}{
		{"nothing known", "WINDOWS", files("setup.exe"), ErrUnknownMedia, `volume label is "WINDOWS"`},
		{"Fedora", "", with(flat, flatTreeinfo("Fedora", "40", "x86_64")), ErrUnknownMedia, `"Fedora"`},
		{"another .disk/info", "", files(".disk/info=Linux Mint 21"), ErrUnknownMedia, "Linux Mint"},
		{"source disc", "", files(elTreeinfo("Rocky Linux", "9.4", "x86_64")), ErrNoBootFiles, "images/pxeboot/vmlinuz"},
		{"no stage2", "", with(files("images/pxeboot/vmlinuz", "images/pxeboot/initrd.img"), elTreeinfo("Rocky Linux", "9.4", "x86_64")), ErrNoBootFiles, "images/install.img"},
		{"second DVD", "", files(debian, "dists/bookworm/Release"), ErrNoBootFiles, "second disc"},
		{"Ubuntu without casper", "", files(`.disk/info=Ubuntu 24.04 LTS "Noble Numbat" - Release amd64 (20240424)`), ErrNoBootFiles, "casper/vmlinuz"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := recognize(disc{FS: tt.medium, label: tt.label})
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want %v that says %q", err, tt.want, tt.says)
			}
		})
	}
	if m, err := recognize(disc{FS: files(debian, "dists/bookworm/Release"), external: true}); err != nil || len(m.Warnings) != 0 {
		t.Errorf("with boot files given beside it: %v, %q", err, m.Warnings)
	}
}

func FuzzTreeinfo(f *testing.F) {
	f.Add(elTreeinfo("Rocky Linux", "9.4", "x86_64"), "")
	f.Add("[general\n=\n", "Debian GNU/Linux 12")
	f.Fuzz(func(t *testing.T, tree, info string) {
		medium := with(el, "dists/x/Release", "install.amd/vmlinuz", "install.amd/initrd.gz")
		medium[".disk/info"] = &fstest.MapFile{Data: []byte(info)}
		if tree != "" {
			medium[".treeinfo"] = &fstest.MapFile{Data: []byte(tree)}
		}
		m, err := recognize(disc{FS: medium, label: tree})
		if err != nil {
			return
		}
		if medium[m.Kernel] == nil || medium[m.Initrd] == nil {
			t.Errorf("boot files %q, %q are not on the medium", m.Kernel, m.Initrd)
		}
		for _, s := range []string{m.Distro, m.Version, m.Codename, m.Arch, m.Label} {
			if s != printable(s) {
				t.Errorf("%q is not printable", s)
			}
		}
	})
}
