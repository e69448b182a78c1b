package answer

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// document is a kickstart as this reader of its grammar sees it. The reader
// shares nothing with the writer; it follows pykickstart's documentation.
type document struct {
	commands [][]string
	sections []ksSection
}

type ksSection struct{ name, header, body string }

// el9Commands are the commands of RHEL 9 that are neither removed nor
// deprecated there.
func el9Commands() []string {
	return strings.Fields(`autopart bootloader clearpart driverdisk eula firewall firstboot graphical group halt
		ignoredisk keyboard lang logvol network ostreesetup part poweroff raid realm reboot repo reqpart rescue rootpw
		selinux services shutdown skipx sshkey sshpw text timesource timezone updates url user volgroup xconfig zerombr zipl %include`)
}

func readKickstart(text string) (document, error) {
	var d document
	var open *ksSection
	for n, line := range strings.SplitAfter(text, "\n") {
		word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case open != nil && word == "%end":
			d.sections = append(d.sections, *open)
			open = nil
		case open != nil && slices.Contains(strings.Fields("%pre %post %packages %include %onerror %traceback %addon %pre-install %ksappend"), word):
			return d, fmt.Errorf("line %d: %s inside %s", n+1, word, open.name)
		case open != nil:
			open.body += line
		case word == "" || strings.HasPrefix(word, "#"):
		case strings.HasPrefix(word, "%") && word != "%include":
			open = &ksSection{name: word, header: strings.TrimSpace(line)}
		default:
			words, err := shlex(line)
			if err != nil {
				return d, fmt.Errorf("line %d: %w", n+1, err)
			}
			d.commands = append(d.commands, words)
		}
	}
	if open != nil {
		return d, fmt.Errorf("%s has no %%end", open.name)
	}
	return d, nil
}

// shlex splits as Python's shlex.split(line, comments=True) does.
func shlex(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord, quote := false, rune(0)
	runes := []rune(strings.TrimRight(line, "\n"))
	for i := 0; i < len(runes); i++ {
		c := runes[i]
		switch {
		case quote == '"' && c == '\\' && i+1 < len(runes) && strings.ContainsRune(`"\`, runes[i+1]):
			i++
			word.WriteRune(runes[i])
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(c)
		case c == '"' || c == '\'':
			quote, inWord = c, true
		case c == '\\' && i+1 < len(runes):
			i++
			word.WriteRune(runes[i])
			inWord = true
		case c == '#':
			i = len(runes)
		case strings.ContainsRune(" \t\r\n", c):
			if inWord {
				words = append(words, word.String())
				word.Reset()
			}
			inWord = false
		default:
			word.WriteRune(c)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("no closing %c", quote)
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

func (d document) all(name string) [][]string {
	return slices.Collect(func(yield func([]string) bool) {
		for _, c := range d.commands {
			if c[0] == name && !yield(c) {
				return
			}
		}
	})
}

func (d document) section(name string) []ksSection {
	return slices.DeleteFunc(slices.Clone(d.sections), func(s ksSection) bool { return s.name != name })
}

func TestKickstartReadsAsMeant(t *testing.T) {
	target := target(t, rocky9())
	target.Root = hash
	target.Intent.Access.SSHKeys = append(target.Intent.Access.SSHKeys, `ssh-rsa AAAA "quoted" \ # 100 %`)
	d, err := readKickstart(string(render(t, target).Files[0].Data))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range d.commands {
		if !slices.Contains(el9Commands(), c[0]) {
			t.Errorf("%s is not a command of EL9", c[0])
		}
	}
	devices := map[string]bool{}
	for _, c := range d.all("network") {
		device := c[slices.IndexFunc(c, func(w string) bool { return strings.HasPrefix(w, "--device=") })]
		if devices[device] {
			t.Errorf("%s has two network lines", device)
		}
		devices[device] = true
	}
	if len(devices) != 1 || len(d.all("url")) != 1 || len(d.all("%include")) != 1 || len(d.all("reboot")) != 1 {
		t.Errorf("one each of network, url, %%include and reboot must be there: %v", d.commands)
	}
	if got, want := d.all("url")[0][1], "--url=http://10.20.0.1:8080/images/"+digest+"/BaseOS"; got != want {
		t.Errorf("url is %s, want %s", got, want)
	}
	if got := d.all("rootpw"); len(got) != 1 || !slices.Equal(got[0], []string{"rootpw", "--iscrypted", hash}) {
		t.Errorf("rootpw is %q", got)
	}
	for i, key := range target.Intent.Access.SSHKeys {
		if got := d.all("sshkey")[i]; !slices.Equal(got, []string{"sshkey", "--username=root", key}) {
			t.Errorf("sshkey is %q, want %q", got, key)
		}
	}
	for name, n := range map[string]int{"%packages": 1, "%pre": 1, "%pre-install": 1, "%post": 3, "%onerror": 1} {
		if got := d.section(name); len(got) != n {
			t.Errorf("%d sections %s, want %d", len(got), name, n)
		}
	}
	if pre := d.section("%pre")[0]; !strings.Contains(pre.header, "--erroronfail") {
		t.Errorf("a failing %%pre must end the install: %s", pre.header)
	}
	tune, err := tuneScript(target)
	if err != nil || d.section("%post")[1].body != tune {
		t.Errorf("%%post is not the tuning script as others get it (%v)", err)
	}
}

// readPreseed gives the answers by question.
func readPreseed(text string) (map[string]string, error) {
	answers := map[string]string{}
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", "")) {
		line = strings.TrimRight(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.SplitN(line, " ", 4)
		if len(f) < 3 {
			return nil, fmt.Errorf("%q is not a line of owner, question, type and value", line)
		}
		if _, twice := answers[f[1]]; twice {
			return nil, fmt.Errorf("%s is answered twice", f[1])
		}
		if !slices.Contains([]string{"string", "boolean", "select", "multiselect", "password", "note"}, f[2]) {
			return nil, fmt.Errorf("%q has no such type as %s", line, f[2])
		}
		answers[f[1]] = strings.Join(f[3:], "")
	}
	return answers, nil
}

func TestPreseedReadsAsMeant(t *testing.T) {
	for version, suite := range map[string]string{"12.5.0": "bookworm", "13": "trixie"} {
		target := target(t, debian(version))
		target.Root = hash
		a := render(t, target)
		got, err := readPreseed(string(a.Files[0].Data))
		if err != nil {
			t.Fatal(err)
		}
		for question, want := range map[string]string{
			"mirror/suite":                 suite,
			"mirror/http/hostname":         "10.20.0.1:8080",
			"mirror/http/directory":        "/images/" + digest,
			"mirror/http/proxy":            "",
			"passwd/root-password-crypted": hash,
			"time/zone":                    "Asia/Shanghai",
			"partman-auto/disk":            "/dev/rackseed-has-not-chosen",
		} {
			if v, ok := got[question]; !ok || v != want {
				t.Errorf("Debian %s: %s is %q, want %q", version, question, v, want)
			}
		}
		for _, question := range []string{"partman/confirm", "partman/confirm_nooverwrite", "partman-partitioning/confirm_write_new_label", "partman-lvm/confirm", "partman-md/confirm"} {
			if _, ok := got[question]; ok {
				t.Errorf("Debian %s: %s lets partman write before disk.sh has chosen", version, question)
			}
		}
		// Each file that the installer is sent for must be served.
		for _, name := range regexp.MustCompile(`/answer/T0KEN/([a-z.]+)`).FindAllStringSubmatch(string(a.Files[0].Data)+string(a.Files[3].Data), -1) {
			if !slices.ContainsFunc(a.Files, func(f File) bool { return f.Name == name[1] }) {
				t.Errorf("Debian %s: %s is asked for and not served", version, name[1])
			}
		}
	}
}

func TestArguments(t *testing.T) {
	for _, image := range []struct {
		of   func(*Target)
		name string
	}{{func(t *Target) { t.Image = rocky9() }, "el9"}, {func(t *Target) { t.Image = debian("13") }, "debian"}} {
		target := target(t, rocky9())
		image.of(target)
		target.Root = hash
		line := strings.Join(render(t, target).Args, " ")
		if strings.Contains(line, "$6$") || strings.Contains(line, keyAnna) {
			t.Errorf("%s: a secret among %s", image.name, line)
		}
		// The kernel cuts off what is longer.
		if len(line) > 2048-len("initrd=initrd.img ") {
			t.Errorf("%s: %d bytes of arguments", image.name, len(line))
		}
		if !strings.Contains(line, "BOOTIF=01-52-54-00-12-34-56") {
			t.Errorf("%s: the NIC is not named: %s", image.name, line)
		}
	}
}
