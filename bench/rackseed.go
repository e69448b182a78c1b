package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// noRackseed runs the peers alone.
const noRackseed = "none"

// buildRackseed builds the binary as it is released, unless one was named.
func (b *bench) buildRackseed(ctx context.Context) error {
	if b.rackseed != "" {
		return nil
	}
	b.rackseed = filepath.Join(b.lab.dir, "rackseed")
	b.logf("== building rackseed")
	if err := command(ctx, "env", "CGO_ENABLED=0", "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", b.rackseed, "./cmd/rackseed"); err != nil {
		return fmt.Errorf("%w\n-rackseed none runs the peers alone", err)
	}
	return nil
}

// ourLoader is the name under which Rackseed serves the loader: it serves no
// file that is not one.
const ourLoader = "snponly.efi"

// rackseed starts the daemon as an operator does: a plan, an image, a state
// directory on the same disk as the peers' lease files.
func rackseed() server {
	return server{name: ours, start: func(ctx context.Context, b *bench, w work) (*rig, error) {
		state, err := b.lab.fresh("state")
		if err != nil {
			return nil, err
		}
		d := rackseedDaemon{b: b, w: w, state: state}
		r, err := d.start(ctx)
		if err != nil {
			return nil, err
		}
		if err := d.ready(ctx, r); err != nil {
			r.stop()
			return nil, err
		}
		return r, nil
	}}
}

type rackseedDaemon struct {
	b     *bench
	w     work
	state string
}

func (d rackseedDaemon) leases() bool { return d.w.reserved > 0 || d.w.pool }

func (d rackseedDaemon) start(ctx context.Context) (*rig, error) {
	r := &rig{}
	mode := "off"
	if d.leases() {
		mode = "server"
	}
	args := []string{"serve", "--state", d.state, "--interface", serverIf, "--dhcp", mode, "--i-own-this-lan", "10.77.0.0/16", "--http-port", "80", "--operator", ""}
	if d.w.files != "" {
		loaders, err := d.loaders()
		if err != nil {
			return nil, err
		}
		args = append(args, "--loaders", loaders)
		r.loader = ourLoader
	}
	if d.w.image > 0 {
		if err := d.addImage(ctx, r); err != nil {
			return nil, err
		}
	}
	plan, err := d.plan()
	if err != nil {
		return nil, err
	}
	p, err := d.b.lab.start("rackseed", nil, d.b.rackseed, append(args, "--plan", plan)...)
	if err != nil {
		return nil, err
	}
	r.procs = []*process{p}
	return r, nil
}

// loaders is a folder that holds the work's loader under a name of ours.
func (d rackseedDaemon) loaders() (string, error) {
	content, err := os.ReadFile(filepath.Join(d.w.files, loaderName))
	if err != nil {
		return "", fmt.Errorf("reading the bench loader: %w", err)
	}
	path, err := d.b.lab.file("loaders/"+ourLoader, content)
	return filepath.Dir(path), err
}

const isoName = "bench.iso"

func (d rackseedDaemon) plan() (string, error) {
	var p strings.Builder
	p.WriteString(`site: bench
locale: {timezone: UTC, language: en_US.UTF-8, keyboard: us}
access:
  root: locked
  ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGxhYi1rZXktdGhhdC1vcGVucy1ub3RoaW5nLWF0LWFs lab]
networks:
  provision: {subnet: 10.77.0.0/16}
provision:
  network: provision
  dhcp: server
`)
	if d.w.pool {
		fmt.Fprintf(&p, "  pool: %s-%s\n", poolFirst, poolLast)
	}
	if d.w.reserved > 0 {
		p.WriteString("images:\n  rocky9: {file: " + isoName + "}\nroles:\n  base: {profile: base, image: rocky9}\nnodes:\n")
	}
	for n := range d.w.reserved {
		mac, ip := client(n)
		fmt.Fprintf(&p, "  - {name: bench-%04d, role: base, mac: \"%s\", addresses: {provision: %s}}\n", n, mac, ip)
	}
	return d.b.lab.file("site.yaml", []byte(p.String()))
}

// addImage puts the large file into an installation medium and the medium into
// the library: it is served from inside the ISO.
func (d rackseedDaemon) addImage(ctx context.Context, r *rig) error {
	iso := filepath.Join(d.b.lab.dir, isoName)
	if err := d.makeISO(ctx, iso); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, d.b.rackseed, "image", "add", iso, "--name", "rocky9", "--json", "--state", d.state).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return fmt.Errorf("adding the image: %w", err)
	}
	var added struct{ Digest string }
	if err := json.Unmarshal(out, &added); err != nil {
		return fmt.Errorf("reading what image add says: %w", err)
	}
	base := "http://" + serverIP
	r.image = base + "/images/" + added.Digest + "/images/" + imageName
	r.script = base + "/boot/node.ipxe?mac={mac}&arch=x86_64&platform=efi"
	r.answer = `match:inst\.ks=(\S+)`
	return nil
}

const treeinfo = `[general]
family = Rocky Linux
version = 9.6
arch = x86_64
[images-x86_64]
kernel = images/pxeboot/vmlinuz
initrd = images/pxeboot/initrd.img
[stage2]
mainimage = images/install.img
`

func (d rackseedDaemon) makeISO(ctx context.Context, iso string) error {
	if _, err := exec.LookPath("xorriso"); err != nil {
		return fmt.Errorf("making an ISO: %w (apt install xorriso)", err)
	}
	tree, err := d.b.lab.fresh("medium")
	if err != nil {
		return err
	}
	for name, content := range map[string]string{
		".treeinfo": treeinfo, "images/pxeboot/vmlinuz": "kernel", "images/pxeboot/initrd.img": "initrd",
		"repodata/repomd.xml": "<repomd/>\n",
	} {
		if _, err := d.b.lab.file("medium/"+name, []byte(content)); err != nil {
			return err
		}
	}
	if err := os.Link(filepath.Join(d.w.files, imageName), filepath.Join(tree, "images", imageName)); err != nil {
		return fmt.Errorf("filling the medium: %w", err)
	}
	return command(ctx, "xorriso", "-as", "mkisofs", "-quiet", "-R", "-J", "-V", "Rocky-9-6-x86_64-dvd", "-o", iso, tree)
}

// ready waits for all that the work needs, and arms the machines that will ask
// for an answer file.
func (d rackseedDaemon) ready(ctx context.Context, r *rig) error {
	if d.leases() {
		if err := answers(ctx, d.b, r.procs[0], d.w); err != nil {
			return err
		}
	}
	if r.loader != "" {
		if err := serves(ctx, d.b, r); err != nil {
			return err
		}
	}
	if r.image != "" {
		if err := downloads(ctx, d.b, r); err != nil {
			return err
		}
	}
	if d.w.reserved > 0 && r.image != "" {
		return command(ctx, d.b.rackseed, "install", "all", "--no-power", "--no-wait", "--state", d.state)
	}
	return nil
}
