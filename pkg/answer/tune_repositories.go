package answer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/profile"
)

// isDebian tells the families that use apt from those that use dnf.
func isDebian(family string) bool { return family == "debian" || family == "ubuntu" }

// tuneRepositories writes the repositories that the node uses when the laptop
// has gone.
func tuneRepositories(s *script, t *Target) {
	if len(t.Intent.Repositories) == 0 {
		return
	}
	section(s, "Repositories of the site, for the time after the install.")
	for _, r := range t.Intent.Repositories {
		if isDebian(t.Image.Family) {
			aptSource(s, t, r)
		} else {
			yumRepository(s, t, r)
		}
	}
}

// onlyOurRepositories turns those of the vendor off where the site has a
// mirror of the medium. A system that somebody else installed keeps its own.
func onlyOurRepositories(s *script, t *Target) {
	mirror := func(r profile.Repository) bool { return r.Mirror }
	if isDebian(t.Image.Family) || !slices.ContainsFunc(t.Intent.Repositories, mirror) {
		return
	}
	section(s, "The site has a mirror, and perhaps no way to the vendor's repositories.")
	s.say("vendor_repositories_off")
}

// yumRepository writes one file; the mirror of a medium has a repository in
// each of the folders that the medium has.
func yumRepository(s *script, t *Target, r profile.Repository) {
	field := "repository " + r.Name
	name := s.name("repositories", r.Name)
	trees := []string{"."}
	if r.Mirror && len(t.Image.Repos) > 0 {
		trees = t.Image.Repos
	}
	var b strings.Builder
	for _, tree := range trees {
		id, url := "rackseed-"+name, r.URL
		if tree != "." {
			id += "-" + s.name(field, strings.ReplaceAll(tree, "/", "-"))
			url = strings.TrimSuffix(url, "/") + "/" + tree + "/"
		}
		fmt.Fprintf(&b, "[%s]\nname=Rackseed: %s\nbaseurl=%s\nenabled=1\n", id, strings.TrimPrefix(id, "rackseed-"), s.address(field, url))
		switch {
		case r.Key != "":
			fmt.Fprintf(&b, "gpgcheck=1\ngpgkey=%s\n\n", s.address(field, r.Key))
		default:
			b.WriteString("gpgcheck=0\n\n")
		}
	}
	s.named("/etc/yum.repos.d/rackseed-"+name+".repo", strings.TrimRight(b.String(), "\n"))
}

// aptSource writes a source in the format of deb822 (sources.list(5)).
func aptSource(s *script, t *Target, r profile.Repository) {
	field := "repository " + r.Name
	name := s.name("repositories", r.Name)
	suite, components, _ := strings.Cut(r.Suite, " ")
	if suite == "" {
		suite = codename(t)
	}
	if suite == "" {
		s.refuse(field, r.Name, "has no suite: add suite to it, such as: suite: trixie main")
	}
	text := fmt.Sprintf("Types: deb\nURIs: %s\nSuites: %s\n", s.address(field, r.URL), s.value(field, suite))
	if strings.HasSuffix(suite, "/") {
		text += "# A flat repository has no components.\n"
	} else {
		if components == "" {
			components = "main"
		}
		text += fmt.Sprintf("Components: %s\n", s.value(field, components))
	}
	if r.Key == "" {
		text += "Trusted: yes\n"
	} else {
		text += "Signed-By: " + aptKey(s, r) + "\n"
	}
	s.named("/etc/apt/sources.list.d/rackseed-"+name+".sources", text)
}

// aptKey is where the key of a repository is on the node. One that is there
// already, such as the archive's own, is used where it is. apt goes by the
// ending: .gpg is binary, .asc is text.
func aptKey(s *script, r profile.Repository) string {
	field := "repository " + r.Name
	if file, ok := strings.CutPrefix(r.Key, "file://"); ok {
		return s.value(field, file)
	}
	key := "/etc/apt/keyrings/rackseed-" + s.name("repositories", r.Name) + ".asc"
	if strings.HasSuffix(r.Key, ".gpg") {
		key = strings.TrimSuffix(key, ".asc") + ".gpg"
	}
	s.call(field, "signing_key", s.address(field, r.Key), key)
	return key
}

// codename is what the release of the image is called in repositories.
func codename(t *Target) string {
	version := major(t.Image.Version)
	if t.Image.Family == "ubuntu" {
		version = strings.Join(strings.SplitN(t.Image.Version+"..", ".", 3)[:2], ".")
	}
	return map[string]string{"12": "bookworm", "13": "trixie", "22.04": "jammy", "24.04": "noble"}[version]
}
