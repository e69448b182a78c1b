package lint

import (
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
)

// unresolved is what profile.Check says of a node that cannot be what its role
// asks for, and no finding of its own says why.
const unresolved = "profile-unresolved"

// checkProfiles adds what profiles ask for. When the plan has errors already,
// a node that cannot be resolved is a consequence of them.
func (r *run) checkProfiles(resolver *profile.Resolver) {
	wrong := site.HasErrors(r.findings)
	for _, f := range profile.CheckWith(resolver, r.plan) {
		if !wrong || f.ID != unresolved {
			r.add(f)
		}
	}
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
