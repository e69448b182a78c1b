package answer

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/site"
)

// scripts gives every generated script by name.
func scripts(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, image := range []site.Image{rocky9(), debian("13")} {
		target := target(t, image)
		target.Intent.Access.SSHKeys = append(target.Intent.Access.SSHKeys, `ssh-rsa AAAA it's "$(reboot)"`)
		for _, f := range render(t, target).Files {
			switch {
			case strings.HasSuffix(f.Name, ".sh"):
				all[f.Name] = string(f.Data)
			case f.Name == "ks.cfg":
				d, err := readKickstart(string(f.Data))
				if err != nil {
					t.Fatal(err)
				}
				for i, s := range d.sections {
					if s.name != "%packages" {
						all[fmt.Sprintf("ks %d %s", i, s.name)] = s.body
					}
				}
			}
		}
		check, err := verifyScript(target)
		if err != nil {
			t.Fatal(err)
		}
		all["rackseed-verify"] = check
	}
	return all
}

// tree lists a folder: paths, modes and contents.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text := ""
		if d.Type().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text = string(data)
		}
		all[strings.TrimPrefix(path, root)] = info.Mode().String() + "\n" + text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestTuneTwice runs the script on a tree laid out as either family does,
// where systemctl does no more than enabling by a link.
func TestTuneTwice(t *testing.T) {
	for _, system := range []struct{ name, units, ssh, chrony, conf string }{
		{"debian", "lib/systemd/system", "ssh", "chrony", "etc/chrony/chrony.conf"},
		{"el", "usr/lib/systemd/system", "sshd", "chronyd", "etc/chrony.conf"},
	} {
		t.Run(system.name, func(t *testing.T) {
			root := t.TempDir()
			for _, f := range []struct{ name, text string }{
				{system.units + "/" + system.ssh + ".service", ""}, {system.units + "/" + system.chrony + ".service", ""},
				{system.conf, "pool 2.debian.pool.ntp.org iburst\n"},
				{"etc/hosts", "127.0.0.1\tlocalhost\n127.0.1.1\tcs-controller-01.old cs-controller-01\n10.0.0.9 keep\n"},
				{"root/.ssh/authorized_keys", "ssh-rsa AAAA customer"}, // no line end
			} {
				path := filepath.Join(root, f.name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(f.text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			fake := commands(t, map[string]string{"systemctl": `for last; do :; done; case $* in *is-enabled*) [ ! -f "$ROOT/enabled/$last" ] || echo enabled;; *) mkdir -p "$ROOT/enabled" && : >"$ROOT/enabled/$last";; esac`})
			env := []string{"ROOT=" + root, "PATH=" + fake + ":" + os.Getenv("PATH")}
			script, err := tuneScript(target(t, rocky9()))
			if err != nil {
				t.Fatal(err)
			}
			for _, shell := range shells(t) {
				if out, err := runScript(t, shell, script, env...); err != nil {
					t.Fatalf("%s: %v\n%s", shell, err, out)
				}
			}
			before := tree(t, root)
			out, err := runScript(t, []string{"sh"}, script, env...)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if out != "" {
				t.Errorf("a further run changed something:\n%s", out)
			}
			if diff := cmp.Diff(before, tree(t, root)); diff != "" {
				t.Errorf("a further run changed something (-before +after):\n%s", diff)
			}
			for name, want := range map[string]string{
				"/etc/hostname":                          "-rw-r--r--\ncs-controller-01\n",
				"/etc/hosts":                             "-rw-r--r--\n127.0.0.1\tlocalhost\n10.0.0.9 keep\n# BEGIN rackseed\n10.20.1.1 cs-controller-01.gz.example.net cs-controller-01\n# END rackseed\n",
				"/root/.ssh/authorized_keys":             "-rw-------\nssh-rsa AAAA customer\n" + keyAnna + "\n" + keyBo + "\n",
				"/root/.ssh":                             "drwx------\n",
				"/etc/rackseed":                          "drwx------\n",
				"/etc/rackseed/report":                   "-rw-------\nhttp://10.20.0.1:8080/report/T0KEN\n",
				"/enabled/" + system.ssh + ".service":    "-rw-r--r--\n",
				"/enabled/" + system.chrony + ".service": "-rw-r--r--\n",
				"/enabled/rackseed-verify.service":       "-rw-r--r--\n",
			} {
				if before[name] != want {
					t.Errorf("%s is %q, want %q", name, before[name], want)
				}
			}
			if conf := before["/"+system.conf]; !strings.Contains(conf, "server 10.20.0.2 iburst\n") || strings.Contains(conf, "pool ") {
				t.Errorf("chrony asks\n%s", conf)
			}
			for name := range before {
				if strings.Contains(name, "rackseed-new") {
					t.Errorf("%s was left behind", name)
				}
			}
		})
	}
}

// TestTuneInstallsWhatIsMissing: only what it was told of, and what is not
// there, once the repositories are.
func TestTuneInstallsWhatIsMissing(t *testing.T) {
	for _, tt := range []struct {
		name, packages, apt string
		want                string // said by apt-get and the script
		fails               bool
	}{
		{"nothing asked for", "", "exit 1", "", false},
		{"all there", "curl", "exit 1", "", false},
		{"some missing", "curl chrony tuned", `echo "apt-get $*"`, "changed: packages installed: chrony tuned\napt-get -q update\n" +
			"apt-get -q -y --no-install-recommends -o Dpkg::Options::=--force-confold install chrony tuned\n", false},
		{"an unreachable source", "tuned", `case $* in *update) exit 100;; esac`, "changed: packages installed: tuned\n", false},
		{"nowhere to be had", "tuned", "exit 100", "changed: packages installed: tuned\n" +
			"rackseed: packages cannot be installed: tuned; add a repository that has them to the plan, or take them out of the profile\n", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript("")
			s.piece("tune")
			text, err := s.text()
			if err != nil {
				t.Fatal(err)
			}
			fake := commands(t, map[string]string{"apt-get": tt.apt, "dpkg-query": `for last; do :; done; [ "$last" != curl ] || printf installed`})
			for _, shell := range shells(t) {
				out, err := runScript(t, shell, text+"install_packages\n", "RACKSEED_PACKAGES="+tt.packages, "PATH="+fake+":"+os.Getenv("PATH"))
				if out != tt.want || (err != nil) != tt.fails {
					t.Errorf("%s: %v\n%s\nwant\n%s", shell, err, out, tt.want)
				}
			}
		})
	}
}

func TestTuneFailsWithoutItsService(t *testing.T) {
	script, err := tuneScript(target(t, rocky9()))
	if err != nil {
		t.Fatal(err)
	}
	out, err := runScript(t, []string{"sh"}, script, "ROOT="+t.TempDir())
	if err == nil || !strings.Contains(out, "no service ssh sshd to enable: its package is missing") {
		t.Errorf("got %v\n%s", err, out)
	}
}

// within makes a command that is killed if it never ends.
func within(t *testing.T, name string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return exec.CommandContext(ctx, name, args...)
}

func scriptFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "script.sh")
	if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

// laptop takes reports, after refusing the first few.
type laptop struct {
	*httptest.Server
	mu     sync.Mutex
	away   int // requests to refuse
	status int
	got    []string // path, blank, body
}

func newLaptop(t *testing.T) *laptop {
	l := &laptop{status: http.StatusNoContent}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.away > 0 {
			l.away--
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		l.got = append(l.got, r.Method+" "+r.URL.Path+" "+string(body))
		w.WriteHeader(l.status)
	}))
	t.Cleanup(l.Close)
	return l
}

// only makes a PATH on which of the programs that can send reports there is
// just one.
func only(t *testing.T, sender string, fake map[string]string) string {
	t.Helper()
	if _, err := exec.LookPath(sender); err != nil {
		t.Skipf("needs %s: apt install %[1]s", sender)
	}
	dir := commands(t, fake)
	for _, name := range append(strings.Fields("sh cat grep sed tr sort mktemp rm mkdir tar gzip head tail sha256sum seq stat chmod mv"), sender) {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if name == "python3" { // which may be a wrapper that needs more of PATH
			out, err := exec.Command(path, "-c", "import sys; print(sys.executable, end='')").Output()
			if err != nil {
				t.Skipf("needs python3: %v", err)
			}
			path = string(out)
		}
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// healthy answers as a host that is what the Intent of this test asks.
func healthy() map[string]string {
	return map[string]string{
		"uname":  "echo cs-controller-01",
		"getent": "echo '10.20.1.1 STREAM cs-controller-01'; echo '10.20.1.1 DGRAM'",
		"sysctl": `case $2 in
			vm.swappiness) echo 10;; kernel.pid_max|fs.inotify.max_user_watches) echo 1048576;;
			net.core.somaxconn) echo 4096;; fs.inotify.max_user_instances) echo 1024;; *) exit 1;; esac`,
		"su":        "printf 'Limit  Soft  Hard  Units\nMax processes             7 7 processes\nMax open files            65536                65536                files     \n'",
		"systemctl": `case $* in *DefaultLimitNOFILESoft*) echo 65536;; *is-active*sshd*|*is-active*chronyd*) ;; *is-active*) exit 3;; *disable*) : >"$ROOT/disabled";; esac`,
		"sleep":     `echo "$1" >>"$ROOT/slept"`,
	}
}

func TestVerify(t *testing.T) {
	broken := healthy()
	broken["uname"] = "echo localhost"
	broken["getent"] = "echo '127.0.1.1 STREAM x'"
	broken["sysctl"] = `case $2 in net.core.somaxconn) exit 255;; *) echo 60;; esac`
	broken["su"] = "printf 'Max open files            1024                 524288               files\n'"
	broken["systemctl"] = `case $* in *DefaultLimitNOFILESoft*) echo 1024;; *is-active*ssh.service*) ;; *is-active*) exit 3;; esac`
	tables := healthy()
	tables["sysctl"] = strings.ReplaceAll(tables["sysctl"], "4096", `"4096	4096"`)
	for _, tt := range []struct {
		name string
		fake map[string]string
		keys []string
		want []string
	}{
		{"as planned", healthy(), []string{keyAnna, keyBo}, nil},
		{"all wrong", broken, []string{keyAnna + " and more"}, []string{
			"host name: is localhost, planned cs-controller-01",
			"name cs-controller-01: leads to 127.0.1.1, planned 10.20.1.1",
			"sysctl vm.swappiness: is 60, planned 10",
			"sysctl kernel.pid_max: is 60, planned 1048576",
			"sysctl net.core.somaxconn: is not set, planned 4096",
			"sysctl fs.inotify.max_user_instances: is 60, planned 1024",
			"sysctl fs.inotify.max_user_watches: is 60, planned 1048576",
			"limit nofile of nobody: is 1024 524288, planned 65536 65536",
			"limit nofile of root: is 1024 524288, planned 65536 65536",
			"open files of services: is 1024, planned 65536",
			"SSH key of root is missing: anna@laptop",
			"SSH key of root is missing: key",
			"service chrony: is not running",
		}},
		{"a parameter with columns", tables, []string{keyAnna, keyBo}, []string{"sysctl net.core.somaxconn: is 4096 4096, planned 4096"}},
	} {
		for _, sender := range []string{"curl", "wget", "python3"} {
			t.Run(tt.name+"/"+sender, func(t *testing.T) {
				t.Parallel()
				laptop := newLaptop(t)
				laptop.away = 3
				root := tuned(t, target(t, rocky9()))
				for name, text := range map[string]string{"root/.ssh/authorized_keys": strings.Join(tt.keys, "\n") + "\n", "etc/rackseed/report": laptop.URL + "/report/T0KEN\n"} {
					path := filepath.Join(root, name)
					if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				script, err := verifyScript(target(t, rocky9()))
				if err != nil {
					t.Fatal(err)
				}
				// The script adds the usual folders for sbin, where no sender is.
				path := only(t, sender, tt.fake)
				cmd := within(t, filepath.Join(path, "sh"), scriptFile(t, script), "--report")
				cmd.Env = []string{"PATH=" + path, "ROOT=" + root}
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				want := []string{"POST /report/T0KEN/verified " + strings.Join(append(slices.Clone(tt.want), ""), "\n")}
				if diff := cmp.Diff(want, laptop.got); diff != "" {
					t.Errorf("reported (-want +got):\n%s", diff)
				}
				if strings.Join(tt.want, "\n") != strings.TrimSpace(string(out)) {
					t.Errorf("printed\n%s", out)
				}
				pauses := "2\n4\n8\n"
				if tt.want != nil { // which may go away while services start
					pauses = "1\n2\n3\n4\n5\n5\n5\n5\n10\n10\n10\n" + pauses
				}
				if slept, _ := os.ReadFile(filepath.Join(root, "slept")); string(slept) != pauses {
					t.Errorf("waited %q, want %q", slept, pauses)
				}
				if _, err := os.Stat(filepath.Join(root, "etc/rackseed/report")); err == nil {
					t.Error("the token was left on the disk")
				}
				if _, disabled := tt.fake["systemctl"]; disabled && strings.Contains(tt.fake["systemctl"], "disable") {
					if _, err := os.Stat(filepath.Join(root, "disabled")); err != nil {
						t.Error("the unit was not disabled")
					}
				}
			})
		}
	}
}

// tuned gives a folder in which the tuning script of a target was run.
func tuned(t *testing.T, target *Target) string {
	t.Helper()
	root := t.TempDir()
	for _, unit := range []string{"ssh", "chrony", "tuned"} {
		path := filepath.Join(root, "lib/systemd/system", unit+".service")
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	script, err := tuneScript(target)
	if err != nil {
		t.Fatal(err)
	}
	fake := commands(t, map[string]string{"systemctl": "exit 0", "curl": "exit 7"})
	if out, err := runScript(t, []string{"sh"}, script, "ROOT="+root, "PATH="+fake+":"+os.Getenv("PATH")); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return root
}

// TestVerifyWaitsForServices: what starts late is no deviation, and what is
// there already is not waited for.
func TestVerifyWaitsForServices(t *testing.T) {
	laptop := newLaptop(t)
	root := tuned(t, target(t, rocky9()))
	for name, text := range map[string]string{"etc/rackseed/report": laptop.URL + "/report/T0KEN\n"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fake := healthy()
	// chrony runs once the script has slept three times.
	fake["systemctl"] = `case $* in *DefaultLimitNOFILESoft*) echo 65536;; *is-active*chronyd*) [ "$(cat "$ROOT/slept" | tr -d '\n')" = 123 ];; *is-active*sshd*) ;; *is-active*) exit 3;; esac`
	script, err := verifyScript(target(t, rocky9()))
	if err != nil {
		t.Fatal(err)
	}
	path := only(t, "curl", fake)
	cmd := within(t, filepath.Join(path, "sh"), scriptFile(t, script), "--report")
	cmd.Env = []string{"PATH=" + path, "ROOT=" + root}
	if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "" {
		t.Errorf("%v\n%s", err, out)
	}
	if want := []string{"POST /report/T0KEN/verified "}; !slices.Equal(laptop.got, want) {
		t.Errorf("reported %q, want %q", laptop.got, want)
	}
	if slept, _ := os.ReadFile(filepath.Join(root, "slept")); string(slept) != "1\n2\n3\n" {
		t.Errorf("waited %q, want 1, 2 and 3 seconds", slept)
	}
}

// TestVerifyGivesUpOnARefusal: a laptop that knows of no such attempt will
// not know of it later.
func TestVerifyGivesUpOnARefusal(t *testing.T) {
	laptop := newLaptop(t)
	laptop.status = http.StatusNotFound
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "etc/rackseed"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "etc/rackseed/report"), []byte(laptop.URL+"/report/T0KEN"), 0o600); err != nil {
		t.Fatal(err)
	}
	script, err := verifyScript(target(t, rocky9()))
	if err != nil {
		t.Fatal(err)
	}
	path := only(t, "curl", healthy())
	cmd := within(t, filepath.Join(path, "sh"), scriptFile(t, script), "--report")
	cmd.Env = []string{"PATH=" + path, "ROOT=" + root}
	if out, err := cmd.CombinedOutput(); err != nil || len(laptop.got) != 1 {
		t.Errorf("%v after %d reports\n%s", err, len(laptop.got), out)
	}
}

// TestReportsNeverFail: no program to send with, and a laptop that is away,
// are no reasons to stop an install.
func TestReportsNeverFail(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	s := newScript("x")
	s.say("set -eu")
	s.set("report_url", "x", gone.URL+"/report/T")
	s.piece("report")
	s.say("report early 'one two'", "report post", "echo went on")
	text, err := s.text()
	if err != nil {
		t.Fatal(err)
	}
	for _, sender := range []string{"curl", "wget", "true"} {
		t.Run(sender, func(t *testing.T) {
			cmd := within(t, "sh", scriptFile(t, text))
			cmd.Env = []string{"PATH=" + only(t, sender, nil)}
			if out, err := cmd.CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "went on\n") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func TestReportsCarryTheirDetail(t *testing.T) {
	for _, sender := range []string{"curl", "wget"} {
		t.Run(sender, func(t *testing.T) {
			laptop := newLaptop(t)
			s := newScript("x")
			s.set("report_url", "x", laptop.URL+"/report/T")
			s.piece("report")
			s.say("report early", "report failed '@/etc/hostname & 100 %'")
			text, err := s.text()
			if err != nil {
				t.Fatal(err)
			}
			cmd := within(t, "sh", scriptFile(t, text))
			cmd.Env = []string{"PATH=" + only(t, sender, nil)}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			want := []string{"POST /report/T/early ", "POST /report/T/failed @/etc/hostname & 100 %"}
			if diff := cmp.Diff(want, laptop.got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestEvidenceHasNoSecrets looks into what the laptop gets.
func TestEvidenceHasNoSecrets(t *testing.T) {
	log := filepath.Join(t.TempDir(), "ks.cfg")
	const token = "SECRETTOKEN"
	if err := os.WriteFile(log, []byte("rootpw --iscrypted "+hash+"\ncurl http://10.0.0.1/answer/"+token+"/ks.cfg and /report/"+token+"/early, kept\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, sender := range []string{"curl", "wget"} {
		t.Run(sender, func(t *testing.T) {
			laptop := newLaptop(t)
			s := newScript("x")
			s.set("report_url", "x", laptop.URL+"/report/T")
			s.piece("evidence")
			s.call("x", "evidence", log, "/no/such/file")
			text, err := s.text()
			if err != nil {
				t.Fatal(err)
			}
			cmd := within(t, "sh", scriptFile(t, text))
			cmd.Env = []string{"PATH=" + only(t, sender, map[string]string{"dmesg": "echo kernel inst.ks=http://10.0.0.1/answer/" + token + "/ks.cfg", "ip": "echo eth0"})}
			if out, err := cmd.CombinedOutput(); err != nil || len(laptop.got) != 1 {
				t.Fatalf("%v, %d requests\n%s", err, len(laptop.got), out)
			}
			head, body, _ := strings.Cut(strings.TrimPrefix(laptop.got[0], "PUT "), " ")
			if head != "/report/T/evidence" {
				t.Errorf("went to %s", head)
			}
			unpack := exec.Command("tar", "-xzO")
			unpack.Stdin = strings.NewReader(body)
			out, err := unpack.Output()
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(out), token) || strings.Contains(string(out), "$6$") {
				t.Errorf("a secret got out:\n%s", out)
			}
			for _, want := range []string{"rootpw --iscrypted [masked]", "/answer/[token]/ks.cfg", "/report/[token]/early, kept", "kernel", "eth0"} {
				if !strings.Contains(string(out), want) {
					t.Errorf("lacks %q:\n%s", want, out)
				}
			}
		})
	}
}
