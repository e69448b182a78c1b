package main

import (
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/survey"
)

// TestImagesThatThePlanCountsOn: there, missing, another one.
func TestImagesThatThePlanCountsOn(t *testing.T) {
	s := &site.Settings{Images: map[string]site.Medium{"rocky9": {File: "rocky.iso", SHA256: "aa"}, "debian13": {File: "debian.iso"}}}
	all := []site.Image{{Name: "rocky9", Digest: "aa"}, {Name: "debian13", Digest: "bb"}}
	if f := judgeImages(s, all); f.Status != survey.OK || f.Fix != "" {
		t.Errorf("%+v", f)
	}
	if f := judgeImages(s, all[:1]); f.Status != survey.Warn || !strings.Contains(f.Fix, "rackseed image add debian.iso --name debian13") || strings.Contains(f.What, "rocky9") {
		t.Errorf("%+v", f)
	}
	all[0].Digest = "cc"
	if f := judgeImages(s, all); f.Status != survey.Warn || !strings.Contains(f.What, "rocky9 is another medium") {
		t.Errorf("%+v", f)
	}
	if found := checkImages(t.Context(), &globals{state: t.TempDir() + "/none"}, &site.Settings{}); found != nil {
		t.Errorf("without images in the plan: %+v", found)
	}
	found := checkImages(t.Context(), &globals{state: t.TempDir() + "/none"}, s)
	if len(found) != 1 || found[0].Status != survey.Warn {
		t.Errorf("without a state directory: %+v", found)
	}
}

// TestReadyInWords: what keeps a machine from being installed.
func TestReadyInWords(t *testing.T) {
	s := site.NewState()
	if c := planCheck(s); c.OK || c.Fix == "" {
		t.Errorf("%+v", c)
	}
	for _, b := range []site.Body{
		site.PlanApplied{Settings: site.Settings{Site: "gz", Roles: map[string]site.Role{"r": {Image: "rocky9"}}}, Digest: "d"},
		site.NodePlanned{Node: site.Node{Name: "n1", Role: "r"}},
	} {
		if err := s.Apply(site.Event{Seq: s.Seq + 1, Body: b}); err != nil {
			t.Fatal(err)
		}
	}
	if c := imageCheck(s); c.OK || !strings.Contains(c.What, "rocky9") || !strings.Contains(c.Fix, "rocky9") {
		t.Errorf("%+v", c)
	}
	if err := s.Apply(site.Event{Seq: s.Seq + 1, Body: site.ImageAdded{Image: site.Image{Name: "rocky9"}}}); err != nil {
		t.Fatal(err)
	}
	if p, i := planCheck(s), imageCheck(s); !p.OK || !i.OK {
		t.Errorf("%+v, %+v", p, i)
	}
}
