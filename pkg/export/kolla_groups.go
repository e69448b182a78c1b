package export

import "strings"

// serviceGroups says on which group each service of kolla-ansible runs:
// "group: members; …". Its playbooks fail on a group that they know and the
// inventory does not, so the list is the union of those from Zed to 2025.2;
// a group that a release does not know is not used by it.
const serviceGroups = `
tls-backend: control
common: baremetal
cron: common
fluentd: common
kolla-logs: common
kolla-toolbox: common
chrony-server: loadbalancer
chrony: baremetal
collectd: baremetal
telegraf: baremetal
grafana: monitoring
influxdb: monitoring
prometheus: monitoring
prometheus-server: prometheus
prometheus-node-exporter: baremetal
prometheus-cadvisor: baremetal
prometheus-mysqld-exporter: mariadb
prometheus-haproxy-exporter: loadbalancer
prometheus-memcached-exporter: memcached
prometheus-alertmanager: monitoring
prometheus-openstack-exporter: monitoring
prometheus-elasticsearch-exporter: opensearch
prometheus-blackbox-exporter: monitoring
prometheus-libvirt-exporter: compute
prometheus-msteams: prometheus-alertmanager
prometheus-mtail: baremetal
opensearch: monitoring
opensearch-dashboards: opensearch
elasticsearch: control
elasticsearch-curator: elasticsearch
kibana: control
venus: monitoring
venus-api: venus
venus-manager: venus
skydive: monitoring
skydive-analyzer: skydive
skydive-agent: compute network
hacluster: control
hacluster-remote: compute
loadbalancer: network
haproxy: loadbalancer
letsencrypt: loadbalancer
letsencrypt-webserver: letsencrypt
letsencrypt-lego: letsencrypt
etcd: control
memcached: control
redis: control
valkey: control
valkey-server: valkey
valkey-sentinel: valkey
outward-rabbitmq: control
qdrouterd: control
zookeeper: control
kafka: control
keystone: control
placement: control
placement-api: placement
horizon: control
skyline: control
skyline-apiserver: skyline
skyline-console: skyline
glance: control
glance-api: glance
nova: control
nova-api: nova
nova-metadata: nova
nova-conductor: nova
nova-super-conductor: nova
nova-scheduler: nova
nova-novncproxy: nova
nova-spicehtml5proxy: nova
nova-serialproxy: nova
nova-compute-ironic: nova
neutron: network
neutron-server: control
neutron-rpc-server: neutron-server
neutron-periodic-worker: neutron-server
neutron-ovn-maintenance-worker: neutron-server
neutron-dhcp-agent: neutron
neutron-l3-agent: neutron
neutron-metadata-agent: neutron
neutron-ovn-metadata-agent: compute network
neutron-ovn-agent: compute network
neutron-bgp-dragent: neutron
neutron-infoblox-ipam-agent: neutron
neutron-metering-agent: neutron
ironic-neutron-agent: neutron
openvswitch: network compute manila-share
ovn-controller: ovn-controller-compute ovn-controller-network
ovn-controller-compute: compute
ovn-controller-network: network
ovn-database: control
ovn-northd: ovn-database
ovn-nb-db: ovn-database
ovn-sb-db: ovn-database
ovn-sb-db-relay: ovn-database
cinder: control
cinder-api: cinder
cinder-scheduler: cinder
iscsid: compute storage ironic
tgtd: storage
multipathd: compute storage
manila: control
manila-api: manila
manila-scheduler: manila
manila-share: network
manila-data: manila
swift: control
swift-proxy-server: swift
swift-account-server: storage
swift-container-server: storage
swift-object-server: storage
barbican: control
barbican-api: barbican
barbican-keystone-listener: barbican
barbican-worker: barbican
heat: control
heat-api: heat
heat-api-cfn: heat
heat-engine: heat
ironic: control
ironic-api: ironic
ironic-conductor: ironic
ironic-inspector: ironic
ironic-tftp: ironic
ironic-http: ironic
ironic-dnsmasq: ironic
ironic-prometheus-exporter: ironic
bifrost: deployment
magnum: control
magnum-api: magnum
magnum-conductor: magnum
mistral: control
mistral-api: mistral
mistral-engine: mistral
mistral-event-engine: mistral
mistral-executor: mistral
cloudkitty: control
cloudkitty-api: cloudkitty
cloudkitty-processor: cloudkitty
ceilometer: control
ceilometer-central: ceilometer
ceilometer-notification: ceilometer
ceilometer-compute: compute
ceilometer-ipmi: compute
aodh: control
aodh-api: aodh
aodh-evaluator: aodh
aodh-listener: aodh
aodh-notifier: aodh
gnocchi: control
gnocchi-api: gnocchi
gnocchi-metricd: gnocchi
gnocchi-statsd: gnocchi
cyborg: control compute
cyborg-api: cyborg
cyborg-conductor: cyborg
cyborg-agent: compute
designate: control
designate-api: designate
designate-central: designate
designate-producer: designate
designate-mdns: network
designate-worker: designate
designate-sink: designate
designate-backend-bind9: designate
octavia: control
octavia-api: octavia
octavia-driver-agent: octavia
octavia-health-manager: octavia
octavia-housekeeping: octavia
octavia-worker: octavia
masakari-api: control
masakari-engine: control
masakari-hostmonitor: control
masakari-instancemonitor: compute
watcher: control
watcher-api: watcher
watcher-applier: watcher
watcher-engine: watcher
blazar: control
blazar-api: blazar
blazar-manager: blazar
tacker: control
tacker-server: tacker
tacker-conductor: tacker
trove: control
trove-api: trove
trove-conductor: trove
trove-taskmanager: trove
zun: control
zun-api: zun
zun-wsproxy: zun
zun-compute: compute
zun-cni-daemon: compute
freezer: control
freezer-api: freezer
freezer-scheduler: freezer
murano: control
murano-api: murano
murano-engine: murano
sahara: control
sahara-api: sahara
sahara-engine: sahara
senlin: control
senlin-api: senlin
senlin-conductor: senlin
senlin-engine: senlin
senlin-health-manager: senlin
solum: control
solum-api: solum
solum-worker: solum
solum-deployer: solum
solum-conductor: solum
solum-application-deployment: solum
solum-image-builder: solum
vitrage: control
vitrage-api: vitrage
vitrage-notifier: vitrage
vitrage-graph: vitrage
vitrage-ml: vitrage
vitrage-persistor: vitrage
tempest: control
rally: control
vmtp: control
`

// services gives the service groups in their order.
func services() []iniGroup {
	var out []iniGroup
	for line := range strings.Lines(strings.TrimSpace(serviceGroups)) {
		name, list, _ := strings.Cut(strings.TrimSpace(line), ": ")
		out = append(out, iniGroup{name: name, children: strings.Fields(list)})
	}
	return out
}
