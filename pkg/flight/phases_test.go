package flight_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/flight"
	"github.com/rackseed/rackseed/pkg/install"
)

func account(phases []flight.Phase) []string {
	var out []string
	for _, p := range phases {
		text := fmt.Sprintf("%s %g-%g", p.Name, p.Begin.Sub(epoch).Seconds(), p.End.Sub(epoch).Seconds())
		if p.Open {
			text += " open"
		}
		out = append(out, text)
	}
	return out
}

func TestTheTimeOfAGoodBootIsAccountedFor(t *testing.T) {
	got := account(flight.Phases(goodBoot(), 0, at(9999)))
	want := []string{
		"post -50-0", "dhcp 0-4.1", "loader 4.1-9", "kernel 9-60", "stage2 60-80", "partition 80-120", "packages 120-400",
		"configure 400-500", "post-again 500-620", "verify 620-660",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the phases are\n%v, want\n%v", got, want)
	}
	begin, end, ok := flight.WindowOf(goodBoot(), 1)
	if !ok || !begin.Equal(at(-50)) || !end.Equal(at(660)) {
		t.Errorf("attempt 1 runs from %s to %s", begin, end)
	}
}

func TestPhases(t *testing.T) {
	good := goodBoot()
	until := func(s float64) []flight.Entry {
		return slices.DeleteFunc(slices.Clone(good), func(e flight.Entry) bool { return e.At.After(at(s)) })
	}
	withoutBMC := slices.DeleteFunc(slices.Clone(good), func(e flight.Entry) bool { return e.Source == flight.BMC })
	failed := append(until(130), flight.Entry{At: at(200), Source: flight.Installer, Node: "n1", Attempt: 1, What: "failed", Detail: "no space on the disk"})
	second := append(slices.Clone(failed), shift(good, 1000, 2)...)
	resumed := append(until(130),
		dhcpAt(300, "discover", flight.ClientUEFI), dhcpAt(300, "offer", flight.ClientUEFI), tftpAt(305, "open", "snponly.efi", 0), tftpAt(306, "sent", "snponly.efi", 1),
		httpAt(310, "script", "install"), logAt(310, "install-resumed", 1), logAt(360, "answer-served", 1), stageAt(380, "early", 1))
	for _, c := range []struct {
		story   string
		entries []flight.Entry
		attempt int
		now     float64
		want    []string
	}{
		{"nothing was recorded", nil, 0, 0, nil},
		{"without a BMC it begins with the first packet", withoutBMC, 0, 0, []string{
			"dhcp 0-4.1", "loader 4.1-9", "kernel 9-60", "stage2 60-80", "partition 80-120", "packages 120-400", "configure 400-500", "post-again 500-620", "verify 620-660",
		}},
		{"it is installing", until(130), 0, 300, []string{"post -50-0", "dhcp 0-4.1", "loader 4.1-9", "kernel 9-60", "stage2 60-80", "partition 80-120", "packages 120-300 open"}},
		{"it is in its self test", until(-40), 0, 100, []string{"post -50-100 open"}},
		{"it failed", failed, 0, 999, []string{"post -50-0", "dhcp 0-4.1", "loader 4.1-9", "kernel 9-60", "stage2 60-80", "partition 80-120", "packages 120-200"}},
		{"of two attempts the first", second, 1, 9999, []string{"post -50-0", "dhcp 0-4.1", "loader 4.1-9", "kernel 9-60", "stage2 60-80", "partition 80-120", "packages 120-200"}},
		{"of two attempts the newest", second, 0, 9999, []string{
			"post 950-1000", "dhcp 1000-1004.1", "loader 1004.1-1009", "kernel 1009-1060", "stage2 1060-1080", "partition 1080-1120", "packages 1120-1400",
			"configure 1400-1500", "post-again 1500-1620", "verify 1620-1660",
		}},
		{"the power was cut and it started over", resumed, 0, 400, []string{
			"post -50-0", "dhcp 0-4.1", "loader 4.1-9", "kernel 9-60", "stage2 60-80", "partition 80-120", "packages 120-300",
			"dhcp 300-305", "loader 305-310", "kernel 310-360", "stage2 360-380", "partition 380-400 open",
		}},
	} {
		t.Run(c.story, func(t *testing.T) {
			if got := account(flight.Phases(c.entries, c.attempt, at(c.now))); !slices.Equal(got, c.want) {
				t.Errorf("the phases are\n%v, want\n%v", got, c.want)
			}
		})
	}
}

func shift(entries []flight.Entry, by float64, attempt int) []flight.Entry {
	var out []flight.Entry
	for _, e := range entries {
		e.At = at(e.At.Sub(epoch).Seconds() + by)
		if e.Attempt > 0 {
			e.Attempt = attempt
		}
		out = append(out, e)
	}
	return out
}

// A phase that took long says what would shorten it.
func TestNotes(t *testing.T) {
	slow := secs(tftpAt(45, "sent", "undionly.kpxe", 70<<10), 40)
	slow.Detail = "blksize 512, windowsize 1"
	link := secs(httpAt(60, "initrd", "initrd.img"), 11)
	link.Bytes = 110 << 20
	packages := secs(httpAt(400, "repository", ""), 300)
	packages.Bytes = 900 << 20
	for _, c := range []struct {
		story   string
		entries []flight.Entry
		phase   string
		want    string
	}{
		{"blocks of 512 bytes", []flight.Entry{dhcpAt(0, "discover", flight.ClientBIOS), slow, logAt(50, "install-started", 1)}, "loader", "TFTP took 40 s: the ROM asked for blocks of 512 bytes; UEFI HTTP boot is faster"},
		{"100 Mbit/s", []flight.Entry{logAt(10, "install-started", 1), link, logAt(70, "answer-served", 1)}, "kernel", "110 MB came at 10 MB/s: a link of 100 Mbit/s"},
		{"a long self test", []flight.Entry{bmcAt(0, "power-on", ""), dhcpAt(240, "discover", flight.ClientUEFI), tftpAt(243, "open", "snponly.efi", 0), logAt(250, "install-started", 1)}, "post", "quick boot"},
		{"spanning tree", []flight.Entry{dhcpAt(0, "discover", flight.ClientUEFI), dhcpAt(4, "discover", flight.ClientUEFI), dhcpAt(12, "discover", flight.ClientUEFI), dhcpAt(28, "discover", flight.ClientUEFI), dhcpAt(28, "offer", flight.ClientUEFI), tftpAt(33, "open", "snponly.efi", 0), logAt(40, "install-started", 1)}, "dhcp", "asked 4 times: a port in spanning tree"},
		{"a slow repository", []flight.Entry{logAt(10, "install-started", 1), stageAt(90, "partitioned", 1), packages, stageAt(410, "post", 1)}, "packages", "900 MB came at 3 MB/s"},
		{"its failure", []flight.Entry{logAt(10, "install-started", 1), {At: at(20), Source: flight.Installer, Attempt: 1, What: "failed", Detail: "two disks fit"}}, "kernel", "failed: two disks fit"},
	} {
		t.Run(c.story, func(t *testing.T) {
			for _, p := range flight.Phases(c.entries, 0, at(999)) {
				if p.Name == c.phase {
					if !strings.Contains(p.Note, c.want) {
						t.Errorf("the note is %q, want %q in it", p.Note, c.want)
					}
					return
				}
			}
			t.Errorf("there is no phase %s", c.phase)
		})
	}
}

// The recorder knows stages by the names that pkg/install gives them.
func TestStagesAreThoseOfTheInstall(t *testing.T) {
	entries := []flight.Entry{logAt(0, "install-started", 1)}
	for i, s := range []install.Stage{install.StageAnswer, install.StageEarly, install.StagePartitioned, install.StagePost, install.StageDone, install.StageVerified} {
		entries = append(entries, stageAt(float64(10*(i+1)), string(s), 1))
	}
	want := []string{"kernel 0-10", "stage2 10-20", "partition 20-30", "packages 30-40", "configure 40-50", "post-again 50-60"}
	if got := account(flight.Phases(entries, 1, at(999))); !slices.Equal(got, want) {
		t.Errorf("the phases are %v, want %v", got, want)
	}
}
