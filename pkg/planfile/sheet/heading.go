package sheet

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// Key is what a column is about.
type Key string

// The keys. Those from KeyAsset on are understood, and have no place in a
// plan.
const (
	KeyHostname    Key = "hostname"
	KeyRole        Key = "role"
	KeyRack        Key = "rack"
	KeyU           Key = "u"
	KeySerial      Key = "serial"
	KeyUUID        Key = "uuid"
	KeyMAC         Key = "mac"
	KeyAddress     Key = "address" // on the network that the column names
	KeyBMCAddress  Key = "bmc_ip"
	KeyBMCUser     Key = "bmc_user"
	KeyBMCPassword Key = "bmc_password"
	KeyBMCMAC      Key = "bmc_mac"
	KeyMemory      Key = "ram"
	KeyIgnore      Key = "ignore"

	KeyAsset  Key = "asset"
	KeyRoom   Key = "room"
	KeyModel  Key = "model"
	KeyCPU    Key = "cpu"
	KeyDisks  Key = "disks"
	KeyOS     Key = "os"
	KeyOwner  Key = "owner"
	KeyNote   Key = "note"
	KeyNumber Key = "number"
)

// Headings lists, in normal form, what sheets call each key.
func Headings() map[Key][]string {
	return map[Key][]string{
		KeyHostname:    {"主机名", "主机名称", "名称", "节点名称", "服务器名称", "hostname", "name", "host", "nodename", "servername"},
		KeyRole:        {"角色", "用途", "节点角色", "节点类型", "role", "workload", "labels", "label", "tag", "tags", "group"},
		KeyRack:        {"机柜", "机柜位置", "机柜号", "机柜编号", "机架", "rack", "rackid", "rackname", "cabinet", "location"},
		KeyU:           {"u", "u位", "起始u", "起始u位", "机位", "uloc", "rackunit", "unit", "uposition", "position"},
		KeySerial:      {"序列号", "sn", "sn号", "设备序列号", "产品序列号", "serial", "serialnumber", "serialno", "servicetag"},
		KeyUUID:        {"uuid", "systemuuid"},
		KeyMAC:         {"mac", "mac地址", "pxemac", "网卡mac", "网卡mac地址", "pxe网卡mac", "macaddress", "bootmac", "nicmac", "pxemac地址"},
		KeyBMCAddress:  {"带外ip", "带外地址", "带外管理ip", "带外ip地址", "带外管理ip地址", "带外管理地址", "bmcip地址", "ibmcip地址", "管理口ip地址", "ipmiip地址", "bmcip", "bmc地址", "ibmc地址", "ibmcip", "管理口ip", "ipmiip", "ipmi地址", "ipmiip4", "oobip", "ipmiaddress", "bmcaddress", "bmc", "iloip", "idracip", "ipmi"},
		KeyBMCUser:     {"带外用户", "带外用户名", "带外账号", "bmc用户", "bmc用户名", "bmcusername", "bmcuser", "ipmiusername", "ipmiuser", "oobuser"},
		KeyBMCPassword: {"带外密码", "bmc密码", "ipmi密码", "bmcpassword", "bmcpass", "ipmipassword", "oobpassword", "管理口密码", "密码", "password"},
		KeyMemory:      {"内存", "内存容量", "内存大小", "ram", "memory", "mem"},
		KeyAsset:       {"资产编号", "资产号", "assettag", "asset", "assetnumber"},
		KeyRoom:        {"机房", "机房名称", "数据中心", "room", "datacenter", "site"},
		KeyModel:       {"型号", "品牌型号", "设备类型", "设备型号", "品牌", "厂商", "model", "vendor", "manufacturer", "devicetype"},
		KeyBMCMAC:      {"带外mac", "带外mac地址", "bmcmac地址", "ibmcmac", "ibmcmac地址", "oobmac", "bmcmac", "bmcmacaddress", "ipmimac", "ipmimacaddress"},
		KeyCPU:         {"cpu型号", "cpu数量", "cpu", "cpus", "处理器", "cpu核数", "cores"},
		KeyDisks:       {"硬盘", "磁盘", "系统盘", "数据盘", "disks", "disk", "disksize"},
		KeyOS:          {"操作系统", "系统版本", "os", "operatingsystem"},
		KeyOwner:       {"责任人", "负责人", "联系人", "owner", "contact"},
		KeyNote:        {"备注", "说明", "note", "notes", "remark", "remarks", "comment", "comments"},
		KeyNumber:      {"序号", "编号", "no", "index", "id"},
	}
}

// Addresses lists, in normal form and without the word for address, what
// sheets call the networks; the first is what Write puts over them.
func Addresses() map[site.NetworkRole][]string {
	return map[site.NetworkRole][]string{
		site.NetManagement:     {"管理", "", "主机", "管理网", "mgmt", "management", "host"},
		site.NetProvision:      {"部署", "装机", "pxe", "部署网", "provision", "provisioning", "deploy"},
		site.NetStorage:        {"存储", "存储网", "存储公共", "storage", "cephpublic"},
		site.NetStorageCluster: {"存储集群", "存储复制", "storagecluster", "cephcluster"},
		site.NetTenant:         {"租户", "隧道", "租户网", "tenant", "tunnel", "vxlan", "overlay"},
		site.NetExternal:       {"外部", "外网", "external", "public"},
		site.NetMigration:      {"迁移", "migration"},
		site.NetDisplay:        {"显示", "display"},
		site.NetBusiness:       {"业务", "business"},
	}
}

var (
	addressWord = regexp.MustCompile(`(ip4?|ipv4|ip地址|地址|ip4?address|ipv4address|address)$`)
	unitNote    = regexp.MustCompile(`\([^()]*\)$`)
	counted     = regexp.MustCompile(`^(.*?mac(?:地址)?)[0-9]{1,2}$|^(.*?)[0-9]{1,2}(mac(?:地址)?)$`)
)

// normal strips from a heading what differs between sheets that mean the
// same.
func normal(heading string) string {
	s := strings.ToLower(clean(heading))
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" _-/.:*#`'\"、", r) {
			return -1
		}
		return r
	}, s)
}

// withoutNote strips a remark in parentheses, such as a unit.
func withoutNote(norm string) string { return unitNote.ReplaceAllString(norm, "") }

// Column is a column of the sheet and what is read from it.
type Column struct {
	Letter  string `json:"letter"`
	Heading string `json:"heading"`
	Key     Key    `json:"key,omitempty"` // empty if the heading is not known
	Network string `json:"network,omitempty"`

	index int
	unit  string // of memory, from the heading
}

// columnKey finds what a heading means without asking anybody. The third
// result is why it cannot, with what to do.
func (r *reader) columnKey(heading string) (Key, string, *problem) {
	if _, name, ok := strings.Cut(clean(heading), "ip:"); ok && strings.HasPrefix(clean(heading), "ip:") {
		return r.network(heading, name)
	}
	norm := withoutNote(normal(heading))
	if norm == "" {
		return "", "", nil
	}
	if key, ok := r.synonyms[norm]; ok {
		return key, "", nil
	}
	if m := counted.FindStringSubmatch(norm); m != nil {
		if key, ok := r.synonyms[m[1]+m[2]+m[3]]; ok {
			return key, "", nil
		}
	}
	word := addressWord.ReplaceAllString(norm, "")
	if word == norm {
		return "", "", nil
	}
	for name := range r.networks() {
		if normal(name) == word {
			return KeyAddress, name, nil
		}
	}
	return r.addressColumn(heading, word)
}

func (r *reader) addressColumn(heading, word string) (Key, string, *problem) {
	for role, words := range r.addresses {
		if !slices.Contains(words, word) {
			continue
		}
		if role == site.NetBusiness {
			return KeyAddress, "", r.ask(heading, "could be the management address or one on a business network of its own")
		}
		if r.opts.Plan == nil {
			return KeyAddress, string(role), nil
		}
		var serving []string
		for name := range r.opts.Plan.Networks {
			if slices.Contains(r.opts.Plan.RolesOf(name), role) {
				serving = append(serving, name)
			}
		}
		if len(serving) == 1 {
			return KeyAddress, serving[0], nil
		}
		return KeyAddress, "", r.ask(heading, fmt.Sprintf("is for %s, and the plan has %d networks for that", role, len(serving)))
	}
	return "", "", nil
}

func (r *reader) ask(heading, why string) *problem {
	names := slices.Sorted(maps.Keys(r.networks()))
	if len(names) == 0 {
		names = []string{string(site.NetManagement), string(site.NetBusiness)}
	}
	h := clean(heading)
	return &problem{"column-ambiguous", fmt.Sprintf("the column %s %s", h, why),
		fmt.Sprintf("say which network it is: --column '%s=NETWORK' with one of %s; or --column '%s=ignore'", h, strings.Join(names, ", "), h)}
}

// network checks a network that somebody named.
func (r *reader) network(heading, name string) (Key, string, *problem) {
	if _, ok := r.networks()[name]; ok || r.opts.Plan == nil && name != "" {
		return KeyAddress, name, nil
	}
	return KeyAddress, "", &problem{"column-network-unknown", fmt.Sprintf("the column %s is given network %q, which the plan does not have", clean(heading), name),
		"the networks are " + strings.Join(slices.Sorted(maps.Keys(r.networks())), ", ")}
}

func (r *reader) networks() map[string]site.Network {
	if r.opts.Plan == nil {
		return nil
	}
	return r.opts.Plan.Networks
}

// given reads the value of a --column flag: a key, or the name of a network.
func (r *reader) given(heading, value string) (Key, string, *problem) {
	value = strings.TrimSpace(value)
	key := Key(value)
	if _, known := r.headings[key]; known || key == KeyIgnore {
		return key, "", nil
	}
	if r.opts.Plan == nil && slices.Contains(site.NetworkRoles(), site.NetworkRole(value)) {
		return KeyAddress, value, nil
	}
	if _, ok := r.networks()[value]; ok {
		return KeyAddress, value, nil
	}
	return "", "", &problem{"column-meaning-unknown", fmt.Sprintf("--column gives %s the meaning %q, which is neither a key nor a network", clean(heading), value),
		"the keys are " + keyList() + "; the networks " + strings.Join(slices.Sorted(maps.Keys(r.networks())), ", ")}
}

func keyList() string {
	keys := []Key{KeyHostname, KeyRole, KeyRack, KeyU, KeySerial, KeyUUID, KeyMAC, KeyBMCAddress, KeyBMCUser, KeyBMCPassword, KeyBMCMAC, KeyMemory, KeyIgnore}
	words := make([]string, len(keys))
	for i, k := range keys {
		words[i] = string(k)
	}
	return strings.Join(words, ", ")
}

// taken reports whether a plan has a place for the key.
func (k Key) taken() bool {
	switch k {
	case KeyHostname, KeyRole, KeyRack, KeyU, KeySerial, KeyUUID, KeyMAC, KeyAddress, KeyBMCAddress, KeyBMCUser, KeyBMCPassword, KeyBMCMAC, KeyMemory:
		return true
	default:
		return false
	}
}
