package answer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPackagesThatNoMediumIsSureToHave: pkgsel asks a question at the first
// package that it does not find; late.sh installs those of the role behind the
// repositories of the plan, and says which of them is nowhere.
func TestPackagesThatNoMediumIsSureToHave(t *testing.T) {
	target := target(t, debian("13"))
	target.Intent.Packages = []string{"openssh-server", "tuned", "python3", "lvm2"}
	files := render(t, target).Files
	if preseed := string(files[0].Data); !strings.Contains(preseed, "\nd-i pkgsel/include string openssh-server python3 locales\n") {
		t.Errorf("pkgsel has others:\n%s", preseed)
	}
	late := string(files[3].Data)
	for _, fails := range []bool{false, true} {
		told, log := filepath.Join(t.TempDir(), "told"), filepath.Join(t.TempDir(), "syslog")
		fake := commands(t, map[string]string{
			"curl":      `for last; do :; done; while [ $# -gt 0 ]; do [ "$1" != --data-raw ] || detail=$2; shift; done; echo "${last##*/} $detail" >>` + told,
			"wget":      "",
			"in-target": `echo "in-target $*" >>` + told + map[bool]string{true: "; echo 'Nov 22 15:00:00 in-target: rackseed: packages cannot be installed: tuned' >>" + log + "; exit 1"}[fails],
		})
		_, err := runScript(t, []string{"dash"}, strings.ReplaceAll(late, "/var/log/syslog", log), "PATH="+fake+":"+os.Getenv("PATH"))
		said, readErr := os.ReadFile(told)
		if readErr != nil {
			t.Fatal(readErr)
		}
		want := "in-target env RACKSEED_PACKAGES=tuned lvm2 sh /tmp/rackseed-tune\n"
		if fails {
			want += "failed late_command stopped: packages cannot be installed: tuned\n"
		}
		if (err != nil) != fails || !strings.Contains(string(said), want) {
			t.Errorf("%v, it said:\n%s\nwant\n%s", err, said, want)
		}
	}
}
