package site

import (
	"slices"
	"strings"
	"unicode"
)

// kollaRelease is what one release of kolla-ansible lets a host run.
type kollaRelease struct {
	name, codename string
	systems        string // DISTRO:VERSION, a version with all that start with it
}

// kollaReleases holds, oldest first, what the prechecks of each release let
// pass (supported hosts of ansible/roles/prechecks at the release's tag).
func kollaReleases() []kollaRelease {
	zed := "centos:9 rocky:9 openeuler:22.03 debian:11 debian:12 ubuntu:22.04"
	return []kollaRelease{
		{"yoga", "yoga", "centos:8 centos:9 rocky:8 rocky:9 rhel:8 rhel:9 openeuler:20.03 debian:11 ubuntu:20.04 ubuntu:22.04"},
		{"zed", "zed", zed},
		{"2023.1", "antelope", zed},
		{"2023.2", "bobcat", zed},
		{"2024.1", "caracal", zed + " ubuntu:24.04"},
		{"2024.2", "dalmatian", "centos:9 rocky:9 debian:12 ubuntu:22.04 ubuntu:24.04"},
		{"2025.1", "epoxy", "centos:9 centos:10 rocky:9 rocky:10 debian:12 ubuntu:24.04"},
		{"2025.2", "flamingo", "centos:10 rocky:10 debian:12 ubuntu:24.04"},
		{"2026.1", "gazpacho", "centos:10 rocky:10 debian:12 debian:13 ubuntu:24.04"},
	}
}

// KollaReleases names the OpenStack releases whose accepted hosts are known,
// oldest first.
func KollaReleases() []string {
	var names []string
	for _, r := range kollaReleases() {
		names = append(names, r.name)
	}
	return names
}

// KollaSystems lists what hosts may run with a release, as rocky 9; nil for a
// release that is not known. A release goes by its number or its code name.
func KollaSystems(release string) []string {
	release = strings.ToLower(strings.TrimSpace(release))
	for _, r := range kollaReleases() {
		if release == r.name || release == r.codename {
			systems := strings.Fields(r.systems)
			for i := range systems {
				systems[i] = strings.Replace(systems[i], ":", " ", 1)
			}
			return systems
		}
	}
	return nil
}

// KollaAccepts reports whether the prechecks of kolla-ansible let a host of
// this system pass. Known is false for a release that the table does not
// have and for a system that nobody named: then nothing can be said.
func KollaAccepts(release, distro, version string) (ok, known bool) {
	systems := KollaSystems(release)
	if systems == nil || distro == "" || version == "" {
		return false, false
	}
	distro, version = strings.ToLower(distro), strings.TrimPrefix(strings.ToLower(version), "v")
	return slices.ContainsFunc(systems, func(s string) bool {
		d, v, _ := strings.Cut(s, " ")
		return d == distro && (version == v || strings.HasPrefix(version, v+".") || strings.HasPrefix(version, v+"-"))
	}), true
}

// System is an operating system as its medium names it.
type System struct {
	Distro  string // as ID in os-release: rocky, openeuler
	Version string
	Arch    string // x86_64 or aarch64
}

// SystemOf tells from its file, else from its name, what an image of the plan
// installs, for the time before it is in the library. What they do not say is
// empty.
func (s *Settings) SystemOf(image string) System {
	words := wordsOf(s.Images[image].File + " " + image)
	var out System
	for i, w := range words {
		if d := distroOf(w); d != "" && out.Distro == "" {
			out.Distro, out.Version = d, versionIn(words[i:])
		}
		if a := archOf(w); a != "" && out.Arch == "" {
			out.Arch = a
		}
	}
	return out
}

func wordsOf(text string) []string {
	text = strings.NewReplacer("x86_64", "amd64").Replace(strings.ToLower(text))
	return strings.FieldsFunc(text, func(r rune) bool { return r == '-' || r == '_' || r == ' ' || r == '/' })
}

func distroOf(word string) string {
	for _, d := range []string{"rocky", "almalinux", "centos", "rhel", "openeuler", "kylin", "debian", "ubuntu"} {
		if rest, ok := strings.CutPrefix(word, d); ok && strings.Trim(rest, "0123456789.v") == "" {
			return d
		}
	}
	return ""
}

// versionIn finds the version in the distribution's word, rocky9, or in one
// that follows it: Rocky-9.6, CentOS-Stream-9, Kylin-Server-V10.
func versionIn(words []string) string {
	for _, w := range words[:min(len(words), 3)] {
		w = strings.TrimLeftFunc(w, unicode.IsLetter)
		if w != "" && strings.Trim(w, "0123456789.") == "" {
			return strings.Trim(w, ".")
		}
	}
	return ""
}

func archOf(word string) string {
	switch strings.TrimSuffix(word, ".iso") {
	case "amd64", "x64":
		return "x86_64"
	case "aarch64", "arm64":
		return "aarch64"
	default:
		return ""
	}
}
