package lint

import (
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
)

// checkProfiles names the roles whose profile can be read.
func (r *run) checkProfiles(shipped fs.FS) map[string]bool {
	usable := map[string]bool{}
	from := profile.Over(profile.Texts(r.plan.Profiles), shipped)
	for _, role := range slices.Sorted(maps.Keys(r.plan.Roles)) {
		name := r.plan.Roles[role].Profile
		if name == "" {
			continue // site.Check has said so
		}
		if _, err := profile.Load(from, name); err != nil {
			r.fail("profile-unusable", "roles."+role+".profile", "name one of the profiles that there are", "%v", err)
			continue
		}
		usable[role] = true
	}
	return usable
}

// dedicated are the words in the name of a role that promise hosts of their
// own for a service, with the profile that keeps the promise.
var dedicated = []struct {
	profile string
	words   []string
}{
	{"database", []string{"database", "db", "galera", "mariadb", "mysql"}},
	{"message-queue", []string{"mq", "queue", "rabbitmq", "rabbit"}},
}

// checkDedicated finds hosts that are planned for a database or a message
// queue, and that inventories leave to the controllers.
func (r *run) checkDedicated(n *site.Node, i *profile.Intent) {
	if r.plan.OpenStack.Deployer == "" {
		return
	}
	words := strings.Split(n.Role, "-")
	for _, d := range dedicated {
		if !slices.Contains(i.Chain, d.profile) && slices.ContainsFunc(words, func(w string) bool { return slices.Contains(d.words, w) }) {
			r.warn("dedicated-role-on-control", "roles."+n.Role+".profile", "set profile: "+d.profile+", or one that extends it",
				"role %s has profile %s: inventories put the %s on the controllers", n.Role, i.Profile, d.profile)
		}
	}
}
