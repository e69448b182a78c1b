package agent

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// driverPackages are those of Debian's installer with drivers of disks; its
// network initrd has drivers of network cards alone.
var driverPackages = []string{"scsi-core-modules", "scsi-modules", "ata-modules", "sata-modules", "pata-modules", "virtio-modules", "nvme-modules", "scsi-nic-modules", "mmc-modules"}

const (
	maxIndex   = 32 << 20
	maxPackage = 64 << 20
)

// moreDrivers gets the drivers of disks that the initrd lacks from the medium
// that it is of, as Debian's own installer does.
func (a *agent) moreDrivers(ctx context.Context) {
	without := a.machine.storageWithoutDriver()
	if len(without) == 0 {
		return
	}
	a.say("no driver yet for %s", strings.Join(without, ", "))
	if a.s.Modules == "" {
		return
	}
	if err := a.fetchDrivers(ctx); err != nil {
		a.say("its drivers cannot be had from the medium: %v", err)
		return
	}
	a.machine.loadDrivers(ctx, a.say)
}

func (a *agent) fetchDrivers(ctx context.Context) error {
	udpkg, err := exec.LookPath("udpkg")
	if err != nil {
		return errors.New("this initrd has no udpkg")
	}
	index, err := fetch(ctx, a.s.Modules, maxIndex)
	if err != nil {
		return err
	}
	unzipped, err := gzip.NewReader(strings.NewReader(string(index)))
	if err != nil {
		return fmt.Errorf("reading the list of packages: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(unzipped, maxIndex))
	if err != nil {
		return fmt.Errorf("reading the list of packages: %w", err)
	}
	tree, _, ok := strings.Cut(a.s.Modules, "/dists/")
	files := driverFiles(string(text), a.machine.line("/proc/sys/kernel/osrelease"))
	if !ok || len(files) == 0 {
		return errors.New("the medium has no driver packages for this kernel")
	}
	if err := os.MkdirAll("/run/rackseed", 0o700); err != nil {
		return fmt.Errorf("making a folder in memory: %w", err)
	}
	for _, file := range files {
		data, err := fetch(ctx, tree+"/"+file, maxPackage)
		if err != nil {
			a.say("%s: %v", path.Base(file), err)
			continue
		}
		local := filepath.Join("/run/rackseed", path.Base(file))
		if err := inMemory(local, data); err != nil {
			return err
		}
		run(ctx, udpkg, "--unpack", local)
	}
	if depmod, err := exec.LookPath("depmod"); err == nil {
		run(ctx, depmod, "-a")
	}
	return nil
}

// inMemory keeps a file below /run, which prepare made a file system in memory.
func inMemory(name string, data []byte) error {
	if !strings.HasPrefix(name, "/run/rackseed/") {
		return fmt.Errorf("%s is not in memory", name)
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		return fmt.Errorf("keeping a package in memory: %w", err)
	}
	return nil
}

// driverFiles finds the packages for a kernel in an index of Debian's
// installer (deb822): by their names, or by what they provide.
func driverFiles(index, kernel string) []string {
	var out []string
	for stanza := range strings.SplitSeq(index, "\n\n") {
		fields := map[string]string{}
		for l := range strings.Lines(stanza) {
			key, value, _ := strings.Cut(l, ":")
			fields[key] = strings.TrimSpace(value)
		}
		name, ok := strings.CutSuffix(fields["Package"], "-"+kernel+"-di")
		gives := append(strings.Split(fields["Provides"], ","), name)
		drives := slices.ContainsFunc(gives, func(p string) bool { return slices.Contains(driverPackages, strings.TrimSpace(p)) })
		if file := fields["Filename"]; ok && drives && file != "" && !strings.Contains(file, "..") {
			out = append(out, file)
		}
	}
	return out
}

func fetch(ctx context.Context, url string, limit int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := (&http.Client{Timeout: 2 * time.Minute}).Do(req)
	if err != nil {
		return nil, hidden(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path.Base(url), resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, limit))
}
