package image

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// disc is a medium to be recognised.
type disc struct {
	fs.FS
	label string
	// external says that kernel and initrd are given beside the medium and need not be on it.
	external bool
}

// recognize reads what the medium says of itself: .treeinfo, else .disk/info, else the label.
func recognize(medium disc) (Media, error) {
	medium.label = printable(medium.label)
	m, err := identify(medium)
	for _, field := range []*string{&m.Distro, &m.Version, &m.Codename, &m.Arch} {
		*field = printable(*field)
	}
	return m, err
}

// printable keeps what a medium says from steering terminals, scripts and pages.
func printable(s string) string {
	const longest = 80
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune("\"'`$<>&\\", r) {
			return -1
		}
		return r
	}, s)
	return s[:min(len(s), longest)]
}

func identify(medium disc) (Media, error) {
	text, err := readText(medium, ".treeinfo")
	switch {
	case err == nil:
		return recognizeTree(medium, parseTreeinfo(text))
	case !errors.Is(err, fs.ErrNotExist):
		return Media{}, fmt.Errorf("reading .treeinfo: %w", err)
	}
	text, err = readText(medium, ".disk/info")
	switch {
	case err == nil:
		return recognizeDisk(medium, text)
	case !errors.Is(err, fs.ErrNotExist):
		return Media{}, fmt.Errorf("reading .disk/info: %w", err)
	}
	return recognizeLabel(medium)
}

// readText reads a small text file of the medium.
func readText(medium fs.FS, name string) (string, error) {
	const limit = 1 << 20
	f, err := medium.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit))
	return string(data), err
}

func unknownMedia(what string) error {
	return fmt.Errorf("%w: %s; give the vendor's installation ISO (DVD or network install, not a live or cloud image) of RHEL, Rocky, AlmaLinux, CentOS Stream, openEuler, Kylin, Debian or Ubuntu Server", ErrUnknownMedia, what)
}

func noBootFiles(m Media, looked ...string) error {
	return fmt.Errorf("%w: %s %s has no %s; use the DVD or network-install ISO of this release (a live, source or second disc has no installer)",
		ErrNoBootFiles, m.Distro, m.Version, strings.Join(looked, " or "))
}

// recognizeLabel serves remastered media that lost their .treeinfo, as copying with a shell's * does.
func recognizeLabel(medium disc) (Media, error) {
	label := medium.label
	d, ok := distroByLabel(label)
	if !ok {
		return Media{}, unknownMedia(fmt.Sprintf("neither .treeinfo nor .disk/info is there, and the volume label is %q", label))
	}
	m := Media{Family: d.family, Distro: d.id, Label: label}
	m.Version, m.Arch = splitLabel(d, label)
	m.warn("neither .treeinfo nor .disk/info is on the medium: recognised by its label alone")
	if d.family == Debian || d.family == Ubuntu {
		return recognizeApt(medium, m)
	}
	return recognizeAnaconda(medium, m, treeinfo{})
}

// splitLabel finds version and architecture in labels such as Rocky-9-4-x86_64-dvd,
// openEuler-22.03-LTS-SP3-x86_64, Kylin-Server-10, RHEL-9-4-0-BaseOS-x86_64, Debian 12.5.0 amd64 n.
func splitLabel(d distro, label string) (version, arch string) {
	if m := regexp.MustCompile(`x86_64|aarch64|amd64|arm64`).FindString(label); m != "" {
		arch = uname(m)
	}
	switch d.family {
	case OpenEuler:
		version = regexp.MustCompile(`\d\d\.\d\d(-LTS)?(-SP\d+)?`).FindString(label)
	case Kylin:
		if n := regexp.MustCompile(`\d+`).FindString(label); n != "" {
			version = "V" + n
		}
	case RHEL:
		if m := regexp.MustCompile(`-(\d+)(?:-(\d+))?`).FindStringSubmatch(label); m != nil {
			version = strings.TrimSuffix(m[1]+"."+m[2], ".")
		}
	default:
		version = regexp.MustCompile(`\d+(\.\d+)*`).FindString(label)
	}
	return version, arch
}

func (m *Media) warn(format string, args ...any) {
	m.Warnings = append(m.Warnings, fmt.Sprintf(format, args...))
}

// recognizeTree serves media that carry a .treeinfo.
func recognizeTree(medium disc, info treeinfo) (Media, error) {
	name := info.first("general.family", "release.name", "general.name", "product.name")
	m := Media{
		Label:   medium.label,
		Version: info.first("general.version", "release.version", "product.version"),
		Arch:    info.first("general.arch", "tree.arch"),
	}
	d, ok := distroByName(name)
	switch {
	case ok:
		m.Family, m.Distro = d.family, d.id
	case info["variant-baseos.id"] != "" || info["variant-baseos.repository"] != "":
		m.Family, m.Distro = RHEL, strings.ToLower(strings.ReplaceAll(name, " ", "-"))
		m.warn("%q is not a distribution Rackseed was tested with: it is treated as a rebuild of RHEL", name)
	default:
		return Media{}, unknownMedia(fmt.Sprintf(".treeinfo names the family %q", name))
	}
	if d.family == Debian || d.family == Ubuntu {
		return Media{}, unknownMedia(fmt.Sprintf(".treeinfo names the family %q, which has no .treeinfo", name))
	}
	return recognizeAnaconda(medium, m, info)
}

func recognizeAnaconda(medium disc, m Media, info treeinfo) (Media, error) {
	if m.Arch == "" {
		m.Arch = archFromLoader(medium)
	}
	images := "images-" + strings.ToLower(m.Arch)
	m.Kernel = firstFile(medium, info.path(images, "kernel"), "images/pxeboot/vmlinuz")
	m.Initrd = firstFile(medium, info.path(images, "initrd"), "images/pxeboot/initrd.img")
	if (m.Kernel == "" || m.Initrd == "") && !medium.external {
		return Media{}, noBootFiles(m, "images/pxeboot/vmlinuz with initrd.img")
	}
	// The order in which anaconda's initramfs looks.
	m.Stage2 = firstFile(medium, info.path("stage2", "mainimage"), "images/install.img", "LiveOS/squashfs.img")
	if m.Stage2 == "" {
		return Media{}, noBootFiles(m, "images/install.img", "LiveOS/squashfs.img")
	}
	m.findRPMRepos(medium, info)
	m.findGroups(medium)
	m.checkSums(medium, info)
	return m, nil
}

func (m *Media) findRPMRepos(medium disc, info treeinfo) {
	var lacking []string
	for _, dir := range info.repositories() {
		if isFile(medium, path.Join(dir, "repodata/repomd.xml")) {
			m.Repos = append(m.Repos, dir)
		} else {
			lacking = append(lacking, dir)
		}
	}
	if len(m.Repos) == 0 {
		for _, dir := range []string{".", "BaseOS", "AppStream"} {
			if isFile(medium, path.Join(dir, "repodata/repomd.xml")) {
				m.Repos = append(m.Repos, dir)
			}
		}
	}
	switch {
	case len(m.Repos) == 0:
		m.warn("no packages on this medium (a boot or network-install ISO): the plan must name a package repository, or add the DVD ISO")
	case len(lacking) > 0:
		m.warn(".treeinfo names repositories that are not on the medium: %s", strings.Join(lacking, ", "))
	}
}

// recognizeDisk serves Debian and Ubuntu media: the first line of .disk/info names release and
// architecture.
func recognizeDisk(medium disc, text string) (Media, error) {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	d, ok := distroByName(line)
	if !ok || d.family != Debian && d.family != Ubuntu {
		return Media{}, unknownMedia(fmt.Sprintf(".disk/info says %.100q", line))
	}
	m := Media{Family: d.family, Distro: d.id, Label: medium.label}
	for _, word := range strings.Fields(line) {
		switch word {
		case "amd64", "arm64", "i386", "armhf", "ppc64el", "s390x", "riscv64":
			m.Arch = uname(word)
		}
	}
	if v := regexp.MustCompile(`\s(\d+(\.\d+)*|testing|unstable)\s`).FindStringSubmatch(line); v != nil {
		m.Version = v[1]
	}
	if quoted := regexp.MustCompile(`["_“]([A-Za-z]+)`).FindStringSubmatch(line); quoted != nil {
		m.Codename = strings.ToLower(quoted[1])
	}
	return recognizeApt(medium, m)
}

func recognizeApt(medium disc, m Media) (Media, error) {
	if m.Arch == "" {
		m.Arch = archFromLoader(medium)
	}
	if releases, err := fs.Glob(medium, "dists/*/Release"); err == nil && len(releases) > 0 {
		m.Repos = []string{"."}
	} else {
		m.warn("no packages on this medium: an install from it stops; add the DVD, with the netboot kernel and initrd")
	}
	if m.Family == Ubuntu {
		m.Kernel, m.Initrd = firstFile(medium, "casper/vmlinuz"), firstFile(medium, "casper/initrd", "casper/initrd.gz")
		if (m.Kernel == "" || m.Initrd == "") && !medium.external {
			return Media{}, noBootFiles(m, "casper/vmlinuz with casper/initrd")
		}
		return m, nil
	}
	if medium.external {
		return m, nil
	}
	return m, m.findDebianInstaller(medium)
}

// findDebianInstaller prefers a netboot kernel, which a mirror-like ISO or mini.iso has.
func (m *Media) findDebianInstaller(medium disc) error {
	arch := map[string]string{"x86_64": "amd64", "aarch64": "arm64"}[m.Arch]
	if arch == "" {
		arch = m.Arch
	}
	dirs, err := fs.Glob(medium, "dists/*/main/installer-"+arch+"/current/images/netboot/debian-installer/"+arch)
	if err != nil {
		return fmt.Errorf("looking for the netboot installer: %w", err)
	}
	for _, dir := range append(dirs, ".") {
		m.Kernel, m.Initrd = firstFile(medium, path.Join(dir, "linux")), firstFile(medium, path.Join(dir, "initrd.gz"))
		if m.Kernel != "" && m.Initrd != "" {
			return nil
		}
	}
	dir := "install." + map[string]string{"amd64": "amd", "arm64": "a64", "i386": "386"}[arch]
	m.Kernel, m.Initrd = firstFile(medium, dir+"/vmlinuz", dir+"/linux"), firstFile(medium, dir+"/initrd.gz")
	if m.Kernel == "" || m.Initrd == "" {
		return noBootFiles(*m, "netboot/debian-installer/"+arch+"/linux", dir+"/vmlinuz")
	}
	m.warn("%s looks for a CD and cannot install over the network: add the netboot kernel and initrd of the same release (dists/%s/main/installer-%s/current/images/netboot on a mirror)",
		m.Initrd, cmp.Or(m.Codename, "RELEASE"), arch)
	return nil
}
