package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/rackseed/rackseed/pkg/storm"
)

// server is a program that can be loaded.
type server struct {
	name     string
	programs []string // that must be installed, with the Debian package to find them in
	start    func(context.Context, *bench, work) (*rig, error)
}

// ours is the column of Rackseed.
const ours = "Rackseed"

// work is what a server is set up for.
type work struct {
	reserved int    // machines with a reservation, counted from the first MAC address
	pool     bool   // the others get a lease from a pool
	files    string // folder to serve; loader is in it
	image    int64  // size of the large file, for HTTP
}

// rig is a server that runs and where on it things are.
type rig struct {
	procs                 []*process
	loader                string // TFTP file name
	script, answer, image string // URLs
}

func (r *rig) stop() {
	for _, p := range r.procs {
		p.stop()
	}
}

func (r *rig) pids() (pids []int) {
	for _, p := range r.procs {
		pids = append(pids, p.family()...)
	}
	return pids
}

func (s server) installed() error {
	for _, p := range s.programs {
		name, pkg, _ := strings.Cut(p, " ")
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("no %s: apt install %s", name, pkg)
		}
	}
	return nil
}

var (
	poolFirst = netip.MustParseAddr("10.77.128.0")
	poolLast  = netip.MustParseAddr("10.77.191.255")
)

const leaseHours = 12

// reservedNet holds the reserved addresses.
const reservedNet = "10.77.16.0/20"

// client is the n-th simulated machine and the address reserved for it.
func client(n int) (storm.MAC, netip.Addr) {
	a := 10<<24 | 77<<16 | 16<<8 + n
	return storm.DefaultMAC().Add(n), netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)})
}

// stranger is beyond all reservations.
const stranger = 1 << 20

// answers waits until the DHCP server makes an offer to the machine.
func answers(ctx context.Context, b *bench, p *process, w work) error {
	n := 0
	if w.pool {
		n = stranger
	}
	mac, _ := client(n)
	return p.until(ctx, func(ctx context.Context) error {
		var r storm.BurstResult
		err := order{Burst: &storm.DHCPConfig{Server: dhcpServer(), Clients: 1, MAC: &mac, Timeout: 300 * time.Millisecond}}.run(ctx, b.lab, &r)
		if err == nil && !r.OK() {
			err = errors.New("no offer")
		}
		return err
	})
}

func dhcpServer() netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(serverIP), 67)
}

func kea() server {
	return server{"Kea", []string{"kea-dhcp4 kea-dhcp4-server"}, func(ctx context.Context, b *bench, w work) (*rig, error) {
		dir, err := b.lab.fresh("kea")
		if err != nil {
			return nil, err
		}
		subnet := map[string]any{"id": 1, "subnet": "10.77.0.0/16"}
		if w.pool {
			subnet["pools"] = []any{map[string]any{"pool": poolFirst.String() + " - " + poolLast.String()}}
		}
		var hosts []any
		for n := range w.reserved {
			mac, ip := client(n)
			hosts = append(hosts, map[string]any{"hw-address": mac, "ip-address": ip})
		}
		if hosts != nil {
			subnet["reservations"] = hosts
		}
		config, err := json.Marshal(map[string]any{"Dhcp4": map[string]any{
			"interfaces-config": map[string]any{"interfaces": []string{serverIf}, "dhcp-socket-type": "udp"},
			"lease-database":    map[string]any{"type": "memfile", "persist": true, "name": dir + "/leases.csv", "lfc-interval": 0},
			"valid-lifetime":    leaseHours * 3600,
			"subnet4":           []any{subnet},
			"loggers": []any{map[string]any{"name": "kea-dhcp4", "severity": "ERROR",
				"output_options": []any{map[string]any{"output": "stderr"}}}},
		}})
		if err != nil {
			return nil, err
		}
		path, err := b.lab.file("kea/kea.json", config)
		if err != nil {
			return nil, err
		}
		return b.startDHCP(ctx, w, "kea", []string{"KEA_PIDFILE_DIR=" + dir, "KEA_LOCKFILE_DIR=" + dir}, "kea-dhcp4", "-c", path)
	}}
}

// startDHCP starts a server and waits for its first offer.
func (b *bench) startDHCP(ctx context.Context, w work, name string, env []string, path string, args ...string) (*rig, error) {
	p, err := b.lab.start(name, env, path, args...)
	if err != nil {
		return nil, err
	}
	if err := answers(ctx, b, p, w); err != nil {
		p.stop()
		return nil, err
	}
	return &rig{procs: []*process{p}}, nil
}

// dnsmasqArgs is a configuration without its three-second ping before offers
// and without a log line per packet: as fast as it can be.
func dnsmasqArgs(b *bench, w work) ([]string, error) {
	dir, err := b.lab.fresh("dnsmasq")
	if err != nil {
		return nil, err
	}
	var hosts strings.Builder
	for n := range w.reserved {
		mac, ip := client(n)
		fmt.Fprintf(&hosts, "%s,%s\n", mac, ip)
	}
	path, err := b.lab.file("dnsmasq/hosts", []byte(hosts.String()))
	if err != nil {
		return nil, err
	}
	pool := poolFirst.String() + "," + poolLast.String()
	if !w.pool {
		pool = "10.77.0.0,static"
	}
	return []string{
		"--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root", "--pid-file=" + dir + "/pid",
		"--interface=" + serverIf, "--bind-interfaces", "--quiet-dhcp", "--quiet-tftp", "--no-ping",
		"--dhcp-range=" + pool + ",255.255.0.0," + fmt.Sprint(leaseHours) + "h", "--dhcp-lease-max=100000",
		"--dhcp-hostsfile=" + path, "--dhcp-leasefile=" + dir + "/leases",
	}, nil
}

func dnsmasq() server {
	return server{"dnsmasq", []string{"dnsmasq dnsmasq-base"}, func(ctx context.Context, b *bench, w work) (*rig, error) {
		args, err := dnsmasqArgs(b, w)
		if err != nil {
			return nil, err
		}
		return b.startDHCP(ctx, w, "dnsmasq", nil, "dnsmasq", args...)
	}}
}

func dhcpd() server {
	return server{"ISC dhcpd", []string{"dhcpd isc-dhcp-server"}, func(ctx context.Context, b *bench, w work) (*rig, error) {
		dir, err := b.lab.fresh("dhcpd")
		if err != nil {
			return nil, err
		}
		var c strings.Builder
		fmt.Fprintf(&c, "authoritative;\nping-check false;\ndefault-lease-time %d;\n", leaseHours*3600)
		fmt.Fprint(&c, "subnet 10.77.0.0 netmask 255.255.0.0 {\n")
		if w.pool {
			fmt.Fprintf(&c, "range %s %s;\n", poolFirst, poolLast)
		}
		fmt.Fprint(&c, "}\n")
		for n := range w.reserved {
			mac, ip := client(n)
			fmt.Fprintf(&c, "host h%d { hardware ethernet %s; fixed-address %s; }\n", n, mac, ip)
		}
		path, err := b.lab.file("dhcpd/dhcpd.conf", []byte(c.String()))
		if err != nil {
			return nil, err
		}
		leases, err := b.lab.file("dhcpd/leases", nil)
		if err != nil {
			return nil, err
		}
		return b.startDHCP(ctx, w, "dhcpd", nil, "dhcpd",
			"-f", "-q", "-user", "root", "-group", "root", "-cf", path, "-lf", leases, "-pf", dir+"/pid", serverIf)
	}}
}

// serves waits until one client can download by TFTP.
func serves(ctx context.Context, b *bench, r *rig) error {
	return r.procs[0].until(ctx, func(ctx context.Context) error {
		var got storm.TFTPResult
		err := order{TFTP: &storm.TFTPConfig{Server: tftpServer(), File: r.loader, Timeout: 300 * time.Millisecond, Tries: 1}}.run(ctx, b.lab, &got)
		if err == nil && !got.OK() {
			err = fmt.Errorf("downloading %s: %v", r.loader, got.Errors)
		}
		return err
	})
}

func tftpServer() netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(serverIP), 69) }

// loaderName is the file of the TFTP storms in a work's folder.
const loaderName = "loader.bin"

func (b *bench) startTFTP(ctx context.Context, name, path string, args ...string) (*rig, error) {
	p, err := b.lab.start(name, nil, path, args...)
	if err != nil {
		return nil, err
	}
	r := &rig{procs: []*process{p}, loader: loaderName}
	if err := serves(ctx, b, r); err != nil {
		p.stop()
		return nil, err
	}
	return r, nil
}

func dnsmasqTFTP() server {
	return server{"dnsmasq", []string{"dnsmasq dnsmasq-base"}, func(ctx context.Context, b *bench, w work) (*rig, error) {
		return b.startTFTP(ctx, "dnsmasq-tftp", "dnsmasq",
			"--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root", "--pid-file", "--quiet-tftp",
			"--interface="+serverIf, "--bind-interfaces", "--enable-tftp", "--tftp-root="+w.files, "--tftp-max=2000")
	}}
}

func tftpdHPA() server {
	return server{"tftpd-hpa", []string{"in.tftpd tftpd-hpa"}, func(ctx context.Context, b *bench, w work) (*rig, error) {
		return b.startTFTP(ctx, "tftpd-hpa", "in.tftpd",
			"--foreground", "--listen", "--user", "root", "--address", serverIP+":69", "--secure", w.files)
	}}
}

// atftpd conflicts with tftpd-hpa in Debian, so one of them is usually unpacked
// by hand: ATFTPD names the program.
func atftpd() server {
	path := os.Getenv("ATFTPD")
	if path == "" {
		path = "atftpd"
	}
	return server{"atftpd", []string{path + " atftpd (conflicts with tftpd-hpa: unpack it with dpkg-deb -x and set ATFTPD=PATH)"},
		func(ctx context.Context, b *bench, w work) (*rig, error) {
			return b.startTFTP(ctx, "atftpd", path, "--daemon", "--no-fork", "--logfile", "-", "--verbose=0",
				"--maxthread", "2000", "--user", "root.root", "--bind-address", serverIP, w.files)
		}}
}

func nginx() server {
	return server{"nginx", []string{"nginx nginx-light"}, func(ctx context.Context, b *bench, w work) (*rig, error) {
		p, err := startNginx(b, w)
		if err != nil {
			return nil, err
		}
		r := webRig(p)
		if err := downloads(ctx, b, r); err != nil {
			r.stop()
			return nil, err
		}
		return r, nil
	}}
}

func webRig(p *process) *rig {
	base := "http://" + serverIP + "/"
	return &rig{procs: []*process{p}, script: base + "script.ipxe", answer: base + "answer.cfg", image: base + imageName}
}

// downloads waits until one client can fetch the large file.
func downloads(ctx context.Context, b *bench, r *rig) error {
	return r.procs[0].until(ctx, func(ctx context.Context) error {
		var got storm.HTTPResult
		err := order{HTTP: &storm.HTTPConfig{URL: r.image}}.run(ctx, b.lab, &got)
		if err == nil && !got.OK() {
			err = fmt.Errorf("downloading %s: %v", r.image, got.Errors)
		}
		return err
	})
}

func startNginx(b *bench, w work) (*process, error) {
	dir, err := b.lab.fresh("nginx")
	if err != nil {
		return nil, err
	}
	config := fmt.Sprintf(`daemon off; user root; pid %[1]s/pid; error_log %[1]s/error.log; worker_processes 1;
events { worker_connections 4096; }
http { access_log off; sendfile on; tcp_nopush on;
 client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
 server { listen %[2]s:80 backlog=4096; root %[3]s; } }
`, dir, serverIP, w.files)
	path, err := b.lab.file("nginx/nginx.conf", []byte(config))
	if err != nil {
		return nil, err
	}
	return b.lab.start("nginx", nil, "nginx", "-c", path, "-p", dir)
}

// dnsmasqAndNginx is the pair that most people boot racks with.
func dnsmasqAndNginx() server {
	return server{pairName, []string{"dnsmasq dnsmasq-base", "nginx nginx-light"}, func(ctx context.Context, b *bench, w work) (*rig, error) {
		args, err := dnsmasqArgs(b, w)
		if err != nil {
			return nil, err
		}
		args = append(args, "--enable-tftp", "--tftp-root="+w.files, "--tftp-max=2000")
		r, err := b.startDHCP(ctx, w, "dnsmasq", nil, "dnsmasq", args...)
		if err != nil {
			return nil, err
		}
		p, err := startNginx(b, w)
		if err != nil {
			r.stop()
			return nil, err
		}
		web := webRig(p)
		web.loader = loaderName
		web.procs = append(web.procs, r.procs...)
		if err := downloads(ctx, b, web); err != nil {
			web.stop()
			return nil, err
		}
		return web, nil
	}}
}

const pairName = "dnsmasq+nginx"

// imageName is the large file of the HTTP parts in a work's folder.
const imageName = "install.img"

// content fills the folder that all file servers serve.
func (b *bench) content(loader, image int64) (string, error) {
	dir, err := b.lab.fresh("files")
	if err != nil {
		return "", err
	}
	for name, size := range map[string]int64{loaderName: loader, imageName: image} {
		if err := writeNoise(filepath.Join(dir, name), size); err != nil {
			return "", err
		}
	}
	for name, text := range map[string]string{
		"script.ipxe": "#!ipxe\nkernel vmlinuz inst.ks=http://" + serverIP + "/answer.cfg\ninitrd initrd.img\nboot\n",
		"answer.cfg":  strings.Repeat("# a kickstart has about this many lines\n", 100),
	} {
		if _, err := b.lab.file("files/"+name, []byte(text)); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// writeNoise writes bytes that do not repeat within a block.
func writeNoise(path string, size int64) error {
	block := make([]byte, 1<<20)
	for i := range block {
		block[i] = byte(i * 2654435761 >> 13)
	}
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("writing a bench file: %w", err)
	}
	for left := size; left > 0 && err == nil; left -= int64(len(block)) {
		_, err = f.Write(block[:min(left, int64(len(block)))])
	}
	return errors.Join(err, f.Close())
}
