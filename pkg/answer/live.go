package answer

import (
	"crypto/sha256"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/cpio"
	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
)

// stateful are the profiles whose nodes hold what must outlive a reboot: the
// disks of Ceph, a database, queues, metrics. A profile that extends one of
// them is one of them.
func stateful() []string {
	return []string{"controller", "storage", "storage-hyperconverged", "database", "message-queue", "monitoring"}
}

// Overlay makes a live image the node: an initial ramdisk to be loaded behind
// the image's own. In it are the files that differ by node, the tuning script
// of every other delivery, and a hook of dracut that puts both into the new
// root before it starts. The same target gives the same bytes.
func Overlay(t *Target) ([]byte, error) {
	if err := stateless(t.Intent); err != nil {
		return nil, err
	}
	live := *t
	live.Token = "" // an image that starts anew each time has nobody to report an install to
	tune, err := tuneScript(&live)
	if err != nil {
		return nil, err
	}
	var w words
	files := identity(&w, t)
	if w.err != nil {
		return nil, w.err
	}
	hook, err := pieces.ReadFile("scripts/live-hook.sh")
	if err != nil {
		return nil, fmt.Errorf("reading the hook: %w", err)
	}
	c := &cpio.Archive{}
	// No entries for the folders: in newer images some of them are links, which the kernel would replace.
	c.File("lib/dracut/hooks/pre-pivot/50-rackseed.sh", 0o755, hook)
	c.Folder("rackseed", 0o700)
	c.File("rackseed/tune.sh", 0o700, []byte(tune))
	made := map[string]bool{}
	for _, f := range files {
		parents(c, made, "rackseed/root"+f.path)
		c.File("rackseed/root"+f.path, f.mode, []byte(f.text))
	}
	return c.Bytes(), nil
}

// parents adds the folders above a file that are not made yet.
func parents(c *cpio.Archive, made map[string]bool, name string) {
	dir := path.Dir(name)
	if dir == "." || dir == "rackseed" || made[dir] {
		return
	}
	parents(c, made, dir)
	c.Folder(dir, 0o755)
	made[dir] = true
}

// stateless refuses a node that would lose what it must keep.
func stateless(i *profile.Intent) error {
	for _, name := range stateful() {
		if slices.Contains(i.Chain, name) || i.Profile == name {
			return fmt.Errorf("%s may not be stateless: profile %s keeps what must outlive a reboot; install it on a disk", i.Node, name)
		}
	}
	if len(i.Disks.OSD)+len(i.Disks.OSDDB) > 0 {
		return fmt.Errorf("%s may not be stateless: it has disks for Ceph; install it on a disk", i.Node)
	}
	return nil
}

// LiveArgs are the kernel arguments that start a live image: dracut's
// dmsquash-live fetches the squashfs at url into memory and puts an overlayfs
// over it.
func LiveArgs(t *Target, url string) ([]string, error) {
	if err := stateless(t.Intent); err != nil {
		return nil, err
	}
	var w words
	args := []string{
		"root=live:" + w.kernel("image URL", url), "rd.live.image", "rd.live.overlay.overlayfs=1", "rd.neednet=1", "ip=dhcp",
	}
	if t.MAC != (site.MAC{}) {
		args = append(args, "BOOTIF=01-"+t.MAC.Hyphens())
	}
	args = append(args, "rd.net.timeout.carrier=60", "rd.net.timeout.dhcp=60", "rd.net.dhcp.retry=5")
	if !isDebian(t.Image.Family) {
		// What the initramfs writes has no label, so an enforcing system could not read its own name.
		args = append(args, "enforcing=0")
	}
	for _, a := range kernelArgs(t.Intent) {
		args = append(args, w.kernel("kernel argument", a))
	}
	args = append(args, "console=tty0", "console="+console(t.Image))
	if w.err != nil {
		return nil, w.err
	}
	return args, fitsKernel(args)
}

// liveFile is one file of the overlay.
type liveFile struct {
	path string
	mode uint32
	text string
}

// identity is what an installer makes up for each machine, or a package at
// its first start. Here it follows from the site and the node, so that it is
// the same after every boot. Keys of the SSH server are not among it: they
// would be secrets that everybody can compute.
func identity(w *words, t *Target) []liveFile {
	node := w.item("name", t.Intent.Node)
	id := func(what string) [16]byte {
		sum := sha256.Sum256([]byte("rackseed " + what + "\x00" + t.Site + "\x00" + t.Intent.FQDN()))
		return [16]byte(sum[:16])
	}
	machine := id("machine-id")
	return []liveFile{
		{"/etc/machine-id", 0o444, fmt.Sprintf("%x\n", machine)},
		{"/etc/iscsi/initiatorname.iscsi", 0o600, "InitiatorName=" + w.item("domain", iqn(t.Intent)) + "\n"},
		{"/etc/nvme/hostid", 0o644, uuid(id("nvme host")) + "\n"},
		{"/etc/nvme/hostnqn", 0o644, "nqn.2014-08.org.nvmexpress:uuid:" + uuid(id("nvme host")) + "\n"},
		{"/etc/rackseed/node", 0o644, node + "\n"},
	}
}

// iqn is a name by RFC 3720 section 3.2.6.3.1: a date on which the domain was
// its owner's, the domain reversed, the node.
func iqn(i *profile.Intent) string {
	domain := i.Domain
	if domain == "" {
		domain = "rackseed.internal"
	}
	labels := strings.Split(domain, ".")
	slices.Reverse(labels)
	return "iqn.2026-01." + strings.Join(labels, ".") + ":" + i.Node
}

// uuid writes bytes as a UUID of version 8, RFC 9562 section 5.8.
func uuid(b [16]byte) string {
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
