package bmcsim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
)

func marshal(o object) ([]byte, error) { return json.Marshal(o) }

// find is the resource at a path. It needs the lock.
func (b *BMC) find(at string) (resource, bool) {
	if res, ok := b.static[at]; ok {
		return res, true
	}
	cut := strings.LastIndexByte(at, '/')
	if cut < 0 {
		return resource{}, false
	}
	id := at[cut+1:]
	switch at[:cut] {
	case sessionsPath:
		if i := slices.IndexFunc(b.sessions, func(s *session) bool { return s.id == id }); i >= 0 {
			return b.session(b.sessions[i]), true
		}
	case accountsPath:
		if slices.ContainsFunc(b.set.accounts, func(a account) bool { return a.ID == id }) {
			return b.account(id), true
		}
	case tasksPath, monitors:
		i := slices.IndexFunc(b.tasks, func(t *task) bool { return t.id == id })
		switch {
		case i >= 0 && at[:cut] == monitors:
			return b.monitor(b.tasks[i]), true
		case i >= 0:
			return b.task(b.tasks[i]), true
		}
	}
	return resource{}, false
}

// tree is all that does not come and go.
func (b *BMC) tree() map[string]resource {
	t := map[string]resource{}
	b.services(t)
	b.machine(t)
	b.parts(t)
	b.around(t)
	for i, m := range b.set.media {
		for _, base := range []string{systemPath, managerPath} {
			at := base + "/VirtualMedia/" + m.ID
			t[at] = b.virtualMedia(at, i)
			t[at+"/Actions/VirtualMedia.InsertMedia"] = b.insertAction(i)
			t[at+"/Actions/VirtualMedia.EjectMedia"] = b.ejectAction(i)
		}
	}
	for _, base := range []string{systemPath, managerPath} {
		var members []string
		for _, m := range b.set.media {
			members = append(members, base+"/VirtualMedia/"+m.ID)
		}
		t[base+"/VirtualMedia"] = collection("VirtualMediaCollection", "Virtual Media", fixed(members...))
	}
	return t
}

func (b *BMC) services(t map[string]resource) {
	t["/redfish"] = resource{open: true, get: func() object { return object{"v1": root + "/"} }}
	t[root+"/odata"] = resource{open: true, get: func() object {
		value := []object{{"name": "Service", "kind": "Singleton", "url": root + "/"}}
		for _, name := range []string{"Systems", "Managers", "Chassis", "SessionService", "AccountService", "TaskService"} {
			value = append(value, object{"name": name, "kind": "Singleton", "url": root + "/" + name})
		}
		return object{"@odata.context": root + "/$metadata", "value": value}
	}}
	t[root+"/$metadata"] = resource{open: true, raw: func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/xml; charset=utf-8")
		_, _ = w.Write([]byte(metadata))
	}}
	t[root] = resource{kind: "ServiceRoot.v1_16_1.ServiceRoot", name: "Root Service", open: true, get: func() object {
		o := object{
			"Id": "RootService", "RedfishVersion": "1.20.0", "UUID": managerUUID(b.config.Hardware.UUID).String(), "Vendor": b.config.Hardware.Manufacturer, "Product": b.config.Hardware.Model,
			"Links": object{"Sessions": link(sessionsPath)}, "Tasks": link(taskService),
			"ProtocolFeaturesSupported": object{
				"ExpandQuery": object{"ExpandAll": true, "Levels": true, "Links": false, "NoLinks": true, "MaxLevels": 1},
				"FilterQuery": false, "SelectQuery": false, "OnlyMemberQuery": false, "ExcerptQuery": false,
			},
		}
		for _, name := range []string{"Systems", "Managers", "Chassis", "SessionService", "AccountService", "Registries"} {
			o[name] = link(root + "/" + name)
		}
		return o
	}}
	enabled := object{"State": "Enabled", "Health": "OK"}
	service := func() object {
		return object{"ServiceEnabled": true, "SessionTimeout": b.set.timeout, "Sessions": link(sessionsPath), "Status": enabled}
	}
	t[sessionService] = resource{kind: "SessionService.v1_1_9.SessionService", name: "Session Service", get: service, patch: func(body object) *problem {
		return b.change(func(s *settings) *problem {
			return writable(body, service(), map[string]func(any) *problem{"SessionTimeout": func(v any) *problem {
				seconds, ok := v.(float64)
				if !ok || seconds < 30 || seconds > 86400 {
					return wrongType(v, "SessionTimeout")
				}
				s.timeout = int(seconds)
				return nil
			}})
		})
	}}
	sessions := collection("SessionCollection", "Session Collection", b.sessionPaths)
	sessions.post = b.login
	t[sessionsPath] = sessions
	// DSP0266 section 7.9.2: a POST to Members is one to the collection.
	t[sessionsPath+"/Members"] = resource{post: b.login}

	t[accountService] = resource{kind: "AccountService.v1_15_1.AccountService", name: "Account Service", get: func() object {
		return object{
			"ServiceEnabled": true, "Status": enabled, "MinPasswordLength": minPassword, "MaxPasswordLength": maxPassword,
			"Accounts": link(accountsPath), "Roles": link(accountService + "/Roles"),
		}
	}}
	accounts := collection("ManagerAccountCollection", "Accounts", b.accountPaths)
	accounts.post = b.newAccount
	t[accountsPath] = accounts
	var paths []string
	for _, role := range roles() {
		at := accountService + "/Roles/" + role
		paths = append(paths, at)
		t[at] = resource{kind: "Role.v1_3_2.Role", name: "User Role", get: func() object {
			privileges := []string{"Login", "ConfigureSelf", "ConfigureComponents", "ConfigureManager", "ConfigureUsers"}
			return object{"Id": role, "RoleId": role, "IsPredefined": true, "AssignedPrivileges": privileges[:map[string]int{"Administrator": 5, "Operator": 3, "ReadOnly": 2}[role]]}
		}}
	}
	t[accountService+"/Roles"] = collection("RoleCollection", "Roles", fixed(paths...))

	t[taskService] = resource{kind: "TaskService.v1_2_1.TaskService", name: "Task Service", get: func() object {
		return object{"ServiceEnabled": true, "Status": enabled, "Tasks": link(tasksPath), "DateTime": b.config.Now().UTC().Format(time.RFC3339)}
	}}
	t[tasksPath] = collection("TaskCollection", "Tasks", b.taskPaths)

	t[root+"/Registries"] = collection("MessageRegistryFileCollection", "Registries", fixed(registryPath))
	t[registryPath] = resource{kind: "MessageRegistryFile.v1_1_4.MessageRegistryFile", name: "BIOS Attribute Registry File", get: func() object {
		return object{"Languages": []string{"en"}, "Registry": "BiosAttributeRegistry.1.0.0", "Location": []object{{"Language": "en", "Uri": registryPath + ".json"}}}
	}}
	t[registryPath+".json"] = b.registry()
}

// managerUUID is not the system's, though real ones have been seen to be.
func managerUUID(u site.UUID) site.UUID {
	u[0] ^= 0x80
	return u
}

func (b *BMC) machine(t map[string]resource) {
	t[root+"/Systems"] = collection("ComputerSystemCollection", "Computer System Collection", fixed(systemPath))
	t[systemPath] = b.system()
	t[systemPath+"/Actions/ComputerSystem.Reset"] = resource{post: b.resetAction}
	if b.config.BootInSettings {
		t[settingsPath] = b.systemSettings()
	}
	var paths []string
	for _, o := range options(b.config.Hardware) {
		t[optionsPath+"/"+o.reference] = b.bootOption(o)
		paths = append(paths, optionsPath+"/"+o.reference)
	}
	t[optionsPath] = collection("BootOptionCollection", "Boot Options", fixed(paths...))
	t[biosPath] = b.biosResource()
	t[biosSettings] = b.biosPending()
	t[biosPath+"/Actions/Bios.ResetBios"] = resource{post: b.resetBIOS}
	t[systemPath+"/SecureBoot"] = resource{kind: "SecureBoot.v1_1_2.SecureBoot", name: "UEFI Secure Boot", get: func() object {
		return object{"SecureBootEnable": false, "SecureBootCurrentBoot": "Disabled", "SecureBootMode": "UserMode"}
	}}
}

// numbered adds a collection of parts that never change.
func numbered[T any](t map[string]resource, base, collectionKind, kind, name string, parts []T, id func(i int) string, describe func(i int, part T) object) {
	var paths []string
	for i, part := range parts {
		at := base + "/" + id(i)
		paths = append(paths, at)
		t[at] = resource{kind: kind, name: name + " " + strconv.Itoa(i+1), get: func() object {
			o := describe(i, part)
			if o["Status"] == nil {
				o["Status"] = object{"State": "Enabled", "Health": "OK"}
			}
			return o
		}}
	}
	t[base] = collection(collectionKind, name+" Collection", fixed(paths...))
}

func prefixed(prefix string) func(int) string {
	return func(i int) string { return fmt.Sprintf("%s%d", prefix, i+1) }
}

const metadata = `<?xml version="1.0" encoding="UTF-8"?>
<edmx:Edmx xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx" Version="4.0">
  <edmx:Reference Uri="http://redfish.dmtf.org/schemas/v1/ServiceRoot_v1.xml"><edmx:Include Namespace="ServiceRoot"/><edmx:Include Namespace="ServiceRoot.v1_16_1"/></edmx:Reference>
  <edmx:Reference Uri="http://redfish.dmtf.org/schemas/v1/ComputerSystem_v1.xml"><edmx:Include Namespace="ComputerSystem"/><edmx:Include Namespace="ComputerSystem.v1_22_2"/></edmx:Reference>
  <edmx:DataServices><Schema xmlns="http://docs.oasis-open.org/odata/ns/edm" Namespace="Service"><EntityContainer Name="Service" Extends="ServiceRoot.v1_16_1.ServiceContainer"/></Schema></edmx:DataServices>
</edmx:Edmx>
`
