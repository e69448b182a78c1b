package answer

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// diskScript writes the script that chooses the system disk, and ends in use,
// a piece that tells the installer of it and may need more variables. Whatever does not match exactly one
// disk ends the install with nothing written.
func diskScript(t *Target, use string, more ...variable) (string, error) {
	s := newScript(fmt.Sprintf("Rackseed chooses the system disk of %s. Nothing is written before exactly one disk fits.", t.Intent.Node))
	s.say("set -u")
	selectDisk(s, t.Intent.Disks.System)
	s.set("report_url", "report URL", t.reports())
	for _, v := range more {
		s.set(v.name, v.name, v.value)
	}
	for _, piece := range []string{"report", "evidence", "disk", use} {
		s.piece(piece)
	}
	return s.text()
}

func selectDisk(s *script, selectors []site.DiskSelector) {
	var d site.DiskSelector
	switch len(selectors) {
	case 0:
	case 1:
		d = selectors[0]
	default:
		s.err = errors.New("disks.system: this role is installed on one disk: keep one selector, mirrored system disks are not written yet")
	}
	s.set("wanted", "disks.system", describe(selectors))
	s.set("want_wwn", "disks.system.wwn", d.WWN)
	s.set("want_serial", "disks.system.serial", strings.TrimSpace(d.Serial))
	s.set("want_path", "disks.system.by_path", d.ByPath)
	s.set("want_model", "disks.system.model", strings.TrimSpace(d.Model))
	rotational := ""
	if d.Rotational != nil {
		rotational = map[bool]string{true: "1", false: "0"}[*d.Rotational]
	}
	s.set("want_rotational", "disks.system.rotational", rotational)
	s.say("want_min="+strconv.FormatInt(d.MinSize, 10), "want_max="+strconv.FormatInt(d.MaxSize, 10)+" # bytes; 0 is any")
}

// describe says what the plan asks for, for people.
func describe(selectors []site.DiskSelector) string {
	if len(selectors) == 0 {
		return "the plan names none, so the only fixed disk"
	}
	d := selectors[0]
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
	add("at least %s bytes", strconv.FormatInt(d.MinSize, 10))
	add("at most %s bytes", strconv.FormatInt(d.MaxSize, 10))
	if d.Rotational != nil {
		add("rotational %s", strconv.FormatBool(*d.Rotational))
	}
	return strings.Join(parts, ", ")
}
