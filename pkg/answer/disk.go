package answer

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
)

// diskScript writes the script that finds the disks of the plan, and ends in
// use, a piece that tells the installer of them and may need more variables.
// Unless each selector matches as many disks as it must, the install ends with
// nothing written.
func diskScript(t *Target, use string, more ...variable) (string, error) {
	disks := t.Intent.Disks
	if err := checkDisks(disks); err != nil {
		return "", err
	}
	needed, err := neededMiB(t.Intent.Layout)
	if err != nil {
		return "", err
	}
	s := newScript(fmt.Sprintf("Rackseed finds the disks of %s. Nothing is written before all of them fit.", t.Intent.Node))
	s.say("set -u")
	s.selectors(disks)
	switch use {
	case "disk-kickstart":
		s.say("", "layout() {", kickstartLayout(t.Intent.Layout)+"}")
	case "disk-debconf":
		s.say("", "layout() {", debconfLayout(t)+"}")
	}
	s.set("osd_policy", "disks.osd_policy", string(osdPolicy(disks)))
	s.set("new_group", "layout", newGroup(t.Intent.Layout))
	s.say("needed=" + strconv.FormatInt(needed, 10) + " # MiB on each system disk")
	s.set("report_url", "report URL", t.reports())
	for _, v := range more {
		s.set(v.name, v.name, v.value)
	}
	s.b.Grow(24 << 10) // growing step by step would copy it several times
	pieces := []string{"report", "evidence", "disk", "disk-clear", use}
	if t.Wiring != "" && !t.Medium {
		s.set("wiring", "discovery.wiring", string(t.Wiring))
		s.set("agent_url", "machine side", t.Base+"/boot/discover-"+t.Image.Arch)
		pieces = []string{"report", "evidence", "disk", "disk-clear", "cabling", use}
	}
	for _, piece := range pieces {
		s.piece(piece)
	}
	return s.text()
}

func osdPolicy(d site.Disks) site.OSDPolicy {
	if d.OSDPolicy == "" {
		return site.OSDKeep
	}
	return d.OSDPolicy
}

// checkDisks refuses what the script could not stand for. Zapping asks for
// disks by number: a model or a slot may hold another one tomorrow.
func checkDisks(d site.Disks) error {
	if n := systemDisks(d); n > 2 {
		return fmt.Errorf("disks.system: %d disks are asked for: a system is on one disk, or mirrored on two", n)
	}
	for _, s := range d.System {
		if s.IsZero() {
			return errors.New("disks.system: a selector names nothing: give wwn, serial, by_path, model, a size or rotational")
		}
	}
	policy := osdPolicy(d)
	switch policy {
	case site.OSDKeep, site.OSDZap, site.OSDFailIfDirty:
	default:
		return fmt.Errorf("disks.osd_policy: %q is none of keep, zap and fail-if-dirty", policy)
	}
	for _, s := range append(append([]site.DiskSelector{}, d.OSD...), d.OSDDB...) {
		switch {
		case s.IsZero():
			return errors.New("disks.osd: a selector names nothing: give wwn, serial, by_path, model, a size or rotational")
		case policy == site.OSDZap && strings.TrimSpace(s.WWN+s.Serial) == "":
			return fmt.Errorf("disks.osd: osd_policy zap wipes, so each disk must be named by wwn or serial: %s does not", describe(s))
		}
	}
	return nil
}

// selectors writes the function that goes through the plan's disks.
func (s *script) selectors(d site.Disks) {
	s.say("", "# selectors COMMAND runs it for each selector of the plan: what the disks are for, how many must fit,",
		"# what the plan says, then WWN, serial number, path, model, rotational, least and largest size in",
		"# bytes; empty and 0 are any.", "selectors() {")
	system := d.System
	if len(system) == 0 {
		system = []site.DiskSelector{{}}
	}
	for _, of := range []struct {
		use       string
		selectors []site.DiskSelector
	}{{"system", system}, {"osd", d.OSD}, {"osd_db", d.OSDDB}} {
		for _, one := range of.selectors {
			s.selector(of.use, one)
		}
	}
	s.say("}")
}

func (s *script) selector(use string, d site.DiskSelector) {
	rotational := ""
	if d.Rotational != nil {
		rotational = map[bool]string{true: "1", false: "0"}[*d.Rotational]
	}
	field := "disks." + use
	words := []string{
		s.shell(field, describe(d)),
		s.shell(field+".wwn", d.WWN), s.shell(field+".serial", strings.TrimSpace(d.Serial)), s.shell(field+".by_path", d.ByPath),
		s.shell(field+".model", strings.TrimSpace(d.Model)), s.shell(field+".rotational", rotational),
		strconv.FormatInt(d.MinSize, 10), strconv.FormatInt(d.MaxSize, 10),
	}
	s.say(fmt.Sprintf("\t\"$1\" %s %d %s", use, d.Wanted(), strings.Join(words, " ")))
}

// describe says what the plan asks for, for people.
func describe(d site.DiskSelector) string {
	if d.IsZero() {
		return "the plan names none, so the only fixed disk"
	}
	var parts []string
	add := func(format, v string) {
		if v != "" && v != "0" {
			parts = append(parts, fmt.Sprintf(format, v))
		}
	}
	add("wwn %s", d.WWN)
	add("serial %s", d.Serial)
	add("path %s", d.ByPath)
	add("model %s", d.Model)
	add("at least %s", amount(d.MinSize))
	add("at most %s", amount(d.MaxSize))
	if d.Rotational != nil {
		add("rotational %s", strconv.FormatBool(*d.Rotational))
	}
	return strings.Join(parts, ", ")
}

// amount says a size as plans do, where it is a round one: nobody counts noughts
// on a console. Of zero there is nothing to say.
func amount(bytes int64) string {
	const giga, tera = 1_000_000_000, 1_000_000_000_000
	switch {
	case bytes == 0:
		return ""
	case bytes%tera == 0:
		return fmt.Sprintf("%d TB", bytes/tera)
	case bytes%giga == 0:
		return fmt.Sprintf("%d GB", bytes/giga)
	default:
		return fmt.Sprintf("%d bytes", bytes)
	}
}

// newGroup names the volume group of a layout, if it has one.
func newGroup(l profile.Layout) string {
	if simple(l) {
		return ""
	}
	return volumeGroup
}
