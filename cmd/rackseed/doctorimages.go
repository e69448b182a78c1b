package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/survey"
)

// checkImages compares the media that a plan counts on with the library. It
// makes no state directory where there is none.
func checkImages(ctx context.Context, g *globals, s *site.Settings) []survey.Finding {
	if len(s.Images) == 0 {
		return nil
	}
	var have []site.Image
	_, err := os.Stat(filepath.Join(g.state, "key"))
	if err == nil {
		err = withClient(ctx, g, func(cl *client.Client) (err error) {
			have, err = cl.Images(ctx)
			return err
		})
	} else if os.IsNotExist(err) {
		err = nil
	}
	if err != nil {
		return []survey.Finding{{ID: "images", Status: survey.Warn, What: "the image library could not be looked at", Why: err.Error(), Fix: "run doctor as the user of the daemon, with its --state"}}
	}
	return []survey.Finding{judgeImages(s, have)}
}

// judgeImages finds what would keep machines from being armed.
func judgeImages(s *site.Settings, have []site.Image) survey.Finding {
	f := survey.Finding{ID: "images", Status: survey.OK}
	known := map[string]site.Image{}
	for _, i := range have {
		known[i.Name] = i
	}
	var missing, fixes []string
	for _, name := range slices.Sorted(maps.Keys(s.Images)) {
		want := s.Images[name]
		i, ok := known[name]
		switch {
		case !ok:
			missing = append(missing, name+" is not in the library")
			fixes = append(fixes, fmt.Sprintf("rackseed image add %s --name %s", orElse(want.File, "FILE.iso"), name))
		case want.SHA256 != "" && want.SHA256 != i.Digest:
			missing = append(missing, name+" is another medium than the plan names")
			fixes = append(fixes, "rackseed image verify "+name)
		}
	}
	if len(missing) > 0 {
		f.Status, f.What, f.Why, f.Fix = survey.Warn, strings.Join(missing, "; "), "machines whose image is missing are not armed", strings.Join(fixes, "; ")
		return f
	}
	f.What = fmt.Sprintf("the library has all %d images of the plan", len(s.Images))
	return f
}
