package flight

import (
	"fmt"
	"strings"
	"time"
)

// Below these a phase is as short as it can be expected to be.
const (
	longPOST     = 150 * time.Second
	longDHCP     = 12 * time.Second
	longTFTP     = 5 * time.Second
	longLink     = 20 * time.Second
	longStage2   = 120 * time.Second
	longReboot   = 60 * time.Second
	slowRate     = 40 << 20 // bytes a second: below what a link of 1 Gbit/s carries
	enoughToRate = 8 << 20  // bytes: less says nothing about the link
)

// note says what would shorten a phase, or why it took so long; nothing where
// nothing would.
func note(p Phase, in []Entry) string {
	took := p.End.Sub(p.Begin)
	switch p.Name {
	case PhasePOST, PhaseSecondPOST:
		if took > longPOST {
			return "the firmware's own tests: quick boot, a shorter memory test, fewer network entries and option ROMs shorten it"
		}
	case PhaseDHCP:
		return noteDHCP(took, in)
	case PhaseLoader:
		return noteLoader(in)
	case PhaseKernel:
		return noteRate(in, "kernel", "initrd")
	case PhaseStage2:
		if text := noteRate(in, "stage2", filesWhat); text != "" || took <= longStage2 {
			return text
		}
		return "the installer's own start: a console on a slow serial line, or a network port that is blocked for its first half minute, holds it up"
	case PhasePackages:
		return noteRate(in, filesWhat)
	case PhaseReboot:
		if took > longReboot {
			return "services that do not stop, or the RAID controller writes its cache"
		}
	}
	return ""
}

func noteDHCP(took time.Duration, in []Entry) string {
	asked, answered := 0, 0
	for _, e := range in {
		switch {
		case e.What == "discover" && e.Client.Firmware():
			asked++
		case e.What == "offer":
			answered++
		}
	}
	switch {
	case took <= longDHCP:
		return ""
	case answered == 0:
		return fmt.Sprintf("it asked %d times and got no answer: see the findings", asked)
	case asked > 2:
		return fmt.Sprintf("it asked %d times: a port in spanning tree drops the first half minute; set it to portfast (edge)", asked)
	default:
		return "the firmware waits for other offers; UEFI HTTP boot, or a boot order with one network entry, shortens it"
	}
}

func noteLoader(in []Entry) string {
	var loaded time.Time
	for _, e := range in {
		if e.Source == TFTP && e.What == "sent" {
			loaded = e.At
			if e.Took > longTFTP && strings.HasPrefix(e.Detail, "blksize 512,") {
				return fmt.Sprintf("TFTP took %s: the ROM asked for blocks of 512 bytes; UEFI HTTP boot is faster", brief(e.Took))
			}
			if e.Took > longTFTP && strings.Contains(e.Detail, "sent again") {
				return fmt.Sprintf("TFTP took %s and lost packets: look at the cable and the duplex of the port", brief(e.Took))
			}
			if e.Took > longTFTP {
				return fmt.Sprintf("TFTP took %s: UEFI HTTP boot is faster", brief(e.Took))
			}
		}
		if e.Source == HTTP && e.What == "loader" {
			loaded = e.At
		}
		if e.What == "discover" && e.Client == ClientIPXE && !loaded.IsZero() && e.At.Sub(loaded) > longLink {
			return fmt.Sprintf("iPXE had no link for %s: a port in spanning tree; set it to portfast (edge)", brief(e.At.Sub(loaded)))
		}
	}
	return ""
}

// noteRate looks at how fast files came.
func noteRate(in []Entry, what ...string) string {
	var bytes int64
	var took time.Duration
	for _, e := range in {
		for _, w := range what {
			if e.Source == HTTP && e.What == w {
				bytes += e.Bytes
				took += e.Took
			}
		}
	}
	if bytes < enoughToRate || took <= 0 {
		return ""
	}
	rate := float64(bytes) / took.Seconds()
	if rate >= slowRate || took < longTFTP {
		return ""
	}
	text := fmt.Sprintf("%d MB came at %.0f MB/s", bytes>>20, rate/(1<<20))
	if what[0] == filesWhat {
		return text + ", in " + brief(took) + " of reading: the disk, the link, or fewer packages would shorten it"
	}
	if rate < 13<<20 {
		return text + ": a link of 100 Mbit/s, or one that many machines share"
	}
	return text + ": the link or the disk of this server is shared by many machines"
}

// brief is a duration for people.
func brief(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	if d < 2*time.Minute {
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
}
