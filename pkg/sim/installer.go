package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Whatever the installer's language, the URLs stand in its files: of the
// scripts that an answer file fetches, and of where its reports go.
var (
	scriptURL = regexp.MustCompile(`http://[^\s"']+/answer/[0-9a-f]+/[\w.-]+`)
	reportURL = regexp.MustCompile(`http://[^\s"']+/report/[0-9a-f]+`)
)

// install is what an installer does, as far as the daemon can see it: it
// fetches its answer file, reports its stages, reads packages, reboots.
func (m *Machine) install(ctx context.Context, args []string) error {
	m.wait(ctx, kernelTime)
	answer, err := m.answerURL(args)
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.offered = append(m.offered, answer)
	m.mu.Unlock()
	reports, err := m.readAnswer(ctx, answer)
	if err != nil {
		return err
	}
	m.disk.reports = ""
	for _, stage := range []string{"early", "disk", "partitioned", "packages", "post"} {
		if err := m.stage(ctx, reports, stage); err != nil {
			return err
		}
	}
	m.disk.reports = reports
	m.mu.Lock()
	m.installs++
	m.mu.Unlock()
	if !m.has(LostReport) {
		m.report(ctx, reports, "done", "")
	}
	return errReboot
}

// readAnswer fetches an answer file and the scripts that it names, and gives
// the URL below which the install reports.
func (m *Machine) readAnswer(ctx context.Context, answer string) (string, error) {
	text, err := m.fetchPatiently(ctx, answer)
	if err != nil {
		return "", fmt.Errorf("the installer waits for its answer file: %w", err)
	}
	all := string(text)
	for _, script := range slices.Compact(slices.Sorted(slices.Values(scriptURL.FindAllString(all, -1)))) {
		text, err := m.fetchPatiently(ctx, script)
		if err != nil {
			return "", fmt.Errorf("the answer file's own script is missing: %w", err)
		}
		all += string(text)
	}
	reports := reportURL.FindString(all)
	if reports == "" {
		return "", errors.New("the answer file says nowhere to report to")
	}
	return reports + "/", nil
}

// stage passes one stage, or meets the machine's fault in it.
func (m *Machine) stage(ctx context.Context, reports, stage string) error {
	switch {
	case m.has(AmbiguousDisk) && stage == "disk":
		m.report(ctx, reports, "failed", "2 disks match the selector of the system disk, 1 is wanted: /dev/sda WD-A1, /dev/sdb WD-B2; nothing was written")
		return errReboot
	case m.has(Crash) && stage == "packages":
		m.report(ctx, reports, stage, "")
		m.wait(ctx, packagesTime/2)
		m.report(ctx, reports, "failed", "package chrony-4.5 does not install: unexpected end of file")
		return errReboot
	}
	m.report(ctx, reports, stage, "")
	spend := stageTime
	if stage == "packages" {
		spend = packagesTime
		if m.has(SlowDisk) {
			spend *= 3
		}
	}
	cut := false
	if m.has(PowerCut) && stage == "packages" {
		m.once.Do(func() { cut = true })
	}
	if cut {
		m.wait(ctx, spend/3)
		m.say("loses power")
		return errReboot
	}
	if m.has(Hang) && stage == "packages" {
		<-ctx.Done()
	}
	if !m.wait(ctx, spend) {
		return ctx.Err()
	}
	return nil
}

// report is never fatal, as in the real answer files.
func (m *Machine) report(ctx context.Context, reports, stage, detail string) {
	if err := m.patiently(ctx, func() error { return m.post(ctx, reports+stage, detail) }); err != nil {
		m.say("a report was lost", "stage", stage, "error", err)
	}
}

func (m *Machine) answerURL(args []string) (string, error) {
	for _, a := range args {
		for _, name := range []string{"inst.ks=", "url="} {
			if u, ok := strings.CutPrefix(a, name); ok {
				return u, nil
			}
		}
	}
	return "", fmt.Errorf("no answer file among the kernel arguments %q", args)
}

// maxFetch bounds what a machine takes into its memory.
const maxFetch = 1 << 30

// errRefused is an answer that another try would not change.
var errRefused = errors.New("refused")

func (m *Machine) fetchPatiently(ctx context.Context, uri string) (data []byte, err error) {
	err = m.patiently(ctx, func() error {
		data, err = m.fetch(ctx, uri)
		return err
	})
	return data, err
}

// fetch takes a document into the machine's memory.
func (m *Machine) fetch(ctx context.Context, uri string) ([]byte, error) {
	var data bytes.Buffer
	err := m.download(ctx, uri, &data)
	return data.Bytes(), err
}

// download reads all of what is at a URL, and fails if it is cut short.
func (m *Machine) download(ctx context.Context, uri string, to io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, http.NoBody)
	if err != nil {
		return fmt.Errorf("fetching %s: %w", uri, err)
	}
	resp, err := m.http().Do(req)
	if err != nil {
		return fmt.Errorf("fetching %s: %w", uri, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return status(resp, fmt.Sprintf("fetching %s", uri))
	}
	n, err := io.Copy(to, io.LimitReader(resp.Body, maxFetch))
	if err != nil {
		return fmt.Errorf("fetching %s: %w", uri, err)
	}
	if resp.ContentLength >= 0 && n != resp.ContentLength {
		return fmt.Errorf("fetching %s: %d bytes of %d", uri, n, resp.ContentLength)
	}
	return nil
}

func (m *Machine) post(ctx context.Context, uri, body string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, uri, strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("reporting: %w", err)
	}
	resp, err := m.http().Do(req)
	if err != nil {
		return fmt.Errorf("reporting: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 300 {
		return status(resp, "reporting")
	}
	return nil
}

func status(resp *http.Response, what string) error {
	if resp.StatusCode < http.StatusInternalServerError {
		return fmt.Errorf("%s: %s: %w", what, resp.Status, errRefused)
	}
	return fmt.Errorf("%s: %s", what, resp.Status)
}
