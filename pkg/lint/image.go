package lint

import (
	"maps"
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/answer"
	"github.com/rackseed/rackseed/pkg/site"
)

// checkImages compares the media of the library with what the plan wants of
// them.
func (r *run) checkImages(library []site.Image) {
	for _, have := range library {
		want, ok := r.plan.Images[have.Name]
		if !ok {
			continue
		}
		path := "images." + have.Name
		const fix = "add the DVD or network-install ISO of this release"
		if want.SHA256 != "" && want.SHA256 != have.Digest {
			r.fail("image-differs", path+".sha256", "add the right medium, or correct the plan", "image %s is %s, and the plan wants %s", have.Name, have.Digest, want.SHA256)
		}
		if have.Kernel == "" || have.Initrd == "" {
			r.fail("image-without-installer", path, fix, "image %s has no kernel and initrd to boot", have.Name)
		}
		switch have.Family {
		case "rhel", "openeuler", "kylin":
			if have.Stage2 == "" {
				r.fail("image-without-stage2", path, fix, "image %s has no installer system: neither images/install.img nor LiveOS/squashfs.img", have.Name)
			}
			if len(have.Repos) == 0 && want.Mirror == "" {
				r.fail("image-without-packages", path, "add the DVD ISO", "image %s has no repodata: there is nothing to install from", have.Name)
			}
		}
		if have.Family == "debian" {
			r.checkDebian(have, path)
		}
		r.checkGroups(have)
		r.checkMachines(have)
	}
}

// checkDebian: Debian's installer takes everything from the medium, over HTTP.
func (r *run) checkDebian(have site.Image, path string) {
	if strings.HasPrefix(have.Initrd, "install.") {
		r.fail("image-needs-cd", path, "add it again with the netboot kernel and initrd of its release: --kernel linux --initrd initrd.gz",
			"the initrd of image %s looks for a CD and cannot install over the network", have.Name)
	}
	if len(have.Repos) == 0 {
		r.warn("image-without-dists", path, "add the DVD, with the netboot kernel and initrd", "image %s has no packages: an install from it stops before it touches the disk", have.Name)
	}
}

// checkGroups finds a remastered medium that lost the list of its groups: its
// installer stops at the first of them. Media whose list is packed in a way
// that the library does not read have no groups here, and pass.
func (r *run) checkGroups(have site.Image) {
	if len(have.Groups) == 0 {
		return
	}
	for _, group := range answer.Groups(have) {
		if !slices.Contains(have.Groups, group) {
			r.fail("image-without-group", "images."+have.Name, "add the vendor's medium; or give repositories their groups again: createrepo_c --groupfile comps.xml",
				"the repositories of image %s have no package group %s, with which every install of it begins", have.Name, group)
		}
	}
}

// checkMachines finds nodes that cannot run what a medium installs.
func (r *run) checkMachines(have site.Image) {
	for i := range r.plan.Nodes {
		n := &r.plan.Nodes[i]
		if r.plan.ImageOf(n) != have.Name {
			continue
		}
		if arch := r.plan.HardwareOf(n).Arch; arch != "" && have.Arch != "" && arch != have.Arch {
			path := "roles." + n.Role + ".hardware.arch"
			if n.Hardware.Arch != "" {
				path = n.Place + ".hardware.arch"
			}
			r.fail("arch-differs", path, "choose an image for "+arch, "%s is %s and its image %s is for %s", n.Name, arch, have.Name, have.Arch)
		}
	}
}

// checkWriters finds systems for which no answer file can be written. Of an
// image that is not in the library its file name says which it is.
func (r *run) checkWriters(library []site.Image) {
	for _, name := range slices.Sorted(maps.Keys(r.plan.Images)) {
		at := slices.IndexFunc(library, func(i site.Image) bool { return i.Name == name })
		image := fromName(name, r.plan)
		if at >= 0 {
			image = library[at]
		}
		if image.Family == "" || image.Version == "" {
			continue
		}
		if err := answer.Knows(image); err != nil {
			r.fail("installer-unknown", "images."+name, "choose a release that Rackseed writes for", "image %s: %v", name, err)
		}
	}
}

func fromName(name string, p *site.Plan) site.Image {
	s := p.SystemOf(name)
	family := s.Distro
	switch s.Distro {
	case "rocky", "almalinux", "centos", "rhel":
		family = "rhel"
	case "kylin":
		s.Version = "V" + strings.TrimPrefix(s.Version, "V")
	}
	return site.Image{Name: name, Family: family, Distro: s.Distro, Version: s.Version, Arch: s.Arch}
}
