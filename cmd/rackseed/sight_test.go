package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/site"
)

// TestNews: what is seen again, or is known by now, writes nothing.
func TestNews(t *testing.T) {
	own, strange := site.MAC{2, 0, 0, 0, 0, 1}, site.MAC{2, 0, 0, 0, 0, 9}
	s := site.NewState()
	fold := func(bodies ...site.Body) {
		t.Helper()
		for _, b := range bodies {
			if err := s.Apply(site.Event{Seq: s.Seq + 1, At: time.Unix(1, 0), Body: b}); err != nil {
				t.Fatal(err)
			}
		}
	}
	fold(site.NodePlanned{Node: site.Node{Name: "n1", MACs: []site.MAC{own}}})
	seen := []site.Body{
		site.NodeSeen{Node: "n1", MAC: own}, site.NodeSeen{Node: "n1", MAC: own}, site.NodeSeen{Node: "gone", MAC: own}, site.NodeSeen{Node: "n1", MAC: strange},
		site.StrangerSeen{MAC: strange}, site.StrangerSeen{MAC: strange}, site.StrangerSeen{MAC: own},
	}
	first := news(s, seen)
	if diff := cmp.Diff([]site.Body{site.NodeSeen{Node: "n1", MAC: own}, site.StrangerSeen{MAC: strange}}, first); diff != "" {
		t.Error(diff)
	}
	fold(first...)
	if again := news(s, seen); len(again) > 0 {
		t.Errorf("told again: %v", again)
	}
}
