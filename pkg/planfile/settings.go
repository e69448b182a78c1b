package planfile

import (
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/rackseed/rackseed/pkg/site"
)

func (d *decoder) plan(root ast.Node) *site.Plan {
	p := &site.Plan{}
	var nodes ast.Node
	d.object(root, "the plan", []field{
		{"site", d.into(&p.Site, "site")},
		{"domain", d.into(&p.Domain, "domain")},
		{"locale", func(n ast.Node) { p.Locale = d.locale(n) }},
		{"access", func(n ast.Node) { p.Access = d.access(n) }},
		{"provision", func(n ast.Node) { p.Provision = d.provision(n) }},
		{"networks", func(n ast.Node) { p.Networks = named(d, n, "networks", d.network) }},
		{"images", func(n ast.Node) { p.Images = named(d, n, "images", d.medium) }},
		{"bmc", func(n ast.Node) { p.BMC = d.bmc(n, "bmc", nil) }},
		{"roles", func(n ast.Node) { p.Roles = named(d, n, "roles", d.role) }},
		{"openstack", func(n ast.Node) { p.OpenStack = d.openstack(n) }},
		{"webhooks", func(n ast.Node) { p.Webhooks = d.webhooks(n) }},
		{"repositories", func(n ast.Node) { p.Repositories = named(d, n, "repositories", d.repository) }},
		{"discovery", func(n ast.Node) { p.Discovery = d.discovery(n) }},
		{"nodes", keep(&nodes)},
	})
	if nodes != nil {
		p.Nodes = d.nodes(nodes)
	}
	return p
}

// named reads a mapping from names to things of one kind.
func named[T any](d *decoder, n ast.Node, what string, read func(ast.Node, string) T) map[string]T {
	out := map[string]T{}
	d.entries(n, what, func(name string, value ast.Node) {
		if isNull(value) {
			out[name] = *new(T)
			return
		}
		out[name] = read(value, what+"."+name)
	})
	return out
}

func (d *decoder) locale(n ast.Node) site.Locale {
	var l site.Locale
	d.object(n, "locale", []field{
		{"timezone", d.into(&l.Timezone, "timezone")},
		{"language", d.into(&l.Language, "language")},
		{"keyboard", d.into(&l.Keyboard, "keyboard")},
	})
	return l
}

func (d *decoder) access(n ast.Node) site.Access {
	var a site.Access
	d.object(n, "access", []field{
		{"root", func(n ast.Node) { a.Root = d.root(n) }},
		{"ssh_keys", func(n ast.Node) { a.SSHKeys = d.texts(n, "an SSH key") }},
	})
	return a
}

// root never repeats the value: it may be a password.
func (d *decoder) root(n ast.Node) site.Secret {
	t, ok := scalar(n)
	if !ok {
		d.fail(n, "root-not-hashed", "write locked, or the output of `openssl passwd -6`", "access.root must be one value")
		return ""
	}
	root := site.Secret(strings.TrimSpace(t.Value))
	if !site.ValidRoot(root) {
		d.fail(n, "root-not-hashed", "write locked, or the output of `openssl passwd -6`; and change that password if it is in use",
			"access.root is neither locked nor a crypt hash: a plan holds no password in the clear")
		return ""
	}
	return root
}

func (d *decoder) provision(n ast.Node) site.Provision {
	var p site.Provision
	d.object(n, "provision", []field{
		{"network", d.into(&p.Network, "provision.network")},
		{"dhcp", func(n ast.Node) { p.DHCP = site.DHCPMode(d.text(n, "provision.dhcp")) }},
		{"pool", func(n ast.Node) { p.Pool = d.addrRange(n, "the pool") }},
		{"lease_time", func(n ast.Node) { p.LeaseTime = d.duration(n, "lease_time") }},
		{"full_answer", func(n ast.Node) { p.FullAnswer = d.boolean(n, "full_answer") }},
		{"local_boot", func(n ast.Node) { p.LocalBoot = site.LocalBoot(d.text(n, "local_boot")) }},
	})
	return p
}

func (d *decoder) network(n ast.Node, what string) site.Network {
	var v site.Network
	d.object(n, what, []field{
		{"subnet", func(n ast.Node) { v.Subnet = d.prefix(n, "the subnet") }},
		{"vlan", func(n ast.Node) { v.VLAN = d.number(n, "the VLAN", "122") }},
		{"mtu", func(n ast.Node) { v.MTU = d.number(n, "the MTU", "9000") }},
		{"gateway", func(n ast.Node) { v.Gateway = d.addr(n, "the gateway") }},
		{"dns", func(n ast.Node) { v.DNS = d.addrs(n, "the DNS server") }},
		{"ntp", func(n ast.Node) { v.NTP = d.addrs(n, "the NTP server") }},
		{"roles", func(n ast.Node) { v.Roles = d.networkRoles(n) }},
		{"routes", func(n ast.Node) { v.Routes = d.routes(n) }},
		{"bmc_pool", func(n ast.Node) { v.BMCPool = d.addrRange(n, "the pool") }},
		{"default_route", func(n ast.Node) {
			b := d.boolean(n, "default_route")
			v.DefaultRoute = &b
		}},
	})
	return v
}

func (d *decoder) medium(n ast.Node, what string) site.Medium {
	var m site.Medium
	d.object(n, what, []field{
		{"file", d.into(&m.File, "file")},
		{"sha256", func(n ast.Node) { m.SHA256 = strings.ToLower(d.text(n, "sha256")) }},
		{"mirror", d.into(&m.Mirror, "mirror")},
		{"mirror_key", d.into(&m.MirrorKey, "mirror_key")},
	})
	return m
}

// ownBMC is what of a BMC belongs to one machine, and is dealt out to a run.
type ownBMC struct{ address, mac ast.Node }

// bmc reads the defaults of the site, or with own the BMC of a node.
func (d *decoder) bmc(n ast.Node, what string, own *ownBMC) site.BMC {
	var b site.BMC
	fields := []field{
		{"protocol", d.into(&b.Protocol, "protocol")},
		{"username", d.into(&b.Username, "username")},
		{"password", func(n ast.Node) { b.Password = d.password(n) }},
	}
	if own != nil {
		fields = append(fields, field{"address", keep(&own.address)}, field{"mac", keep(&own.mac)})
	}
	d.object(n, what, fields)
	return b
}

const passwordFix = "write password: {env: NAME} or {file: PATH}, and change that password if it is in use"

// password repeats nothing of what it reads, keys included: whoever writes a
// password in the clear may write it anywhere.
func (d *decoder) password(n ast.Node) site.SecretRef {
	var ref site.SecretRef
	given := pairs(n)
	if len(given) == 0 {
		d.fail(n, "secret-in-clear", passwordFix, "a plan holds no password in the clear")
		return ref
	}
	for _, v := range given {
		key, _ := keyText(v)
		value, ok := scalar(v.Value)
		switch {
		case !ok || key != "env" && key != "file" && key != "sealed":
			d.fail(v.Key, "secret-in-clear", passwordFix, "a password comes from env, file or sealed, and from nothing else")
		case key == "env":
			ref.Env = value.Value
		case key == "file":
			ref.File = value.Value
		case !site.Secret(value.Value).Sealed():
			d.fail(v.Key, "secret-in-clear", "a sealed value starts with "+site.SealedPrefix+"; or "+passwordFix, "the value under sealed is not sealed")
		default:
			ref.Sealed = site.Secret(value.Value)
		}
	}
	if len(given) > 1 {
		d.fail(given[1].Key, "secret-ambiguous", "keep one of env, file and sealed", "a password comes from one place")
	}
	return ref
}

func (d *decoder) role(n ast.Node, what string) site.Role {
	var r site.Role
	d.object(n, what, []field{
		{"profile", d.into(&r.Profile, "profile")},
		{"image", d.into(&r.Image, "image")},
		{"set", func(n ast.Node) { r.Set = d.freeMap(n, what+".set") }},
		{"networks", func(n ast.Node) { r.Networks = d.textMap(n, what+".networks") }},
		{"nics", func(n ast.Node) { r.NICs = named(d, n, what+".nics", d.nic) }},
		{"bonds", func(n ast.Node) { r.Bonds = named(d, n, what+".bonds", d.bond) }},
		{"disks", func(n ast.Node) { r.Disks = d.disks(n) }},
		{"hardware", func(n ast.Node) { r.Hardware = d.hardware(n) }},
	})
	return r
}
