package flight

import (
	"slices"
	"strings"
	"time"
)

// findLost looks for loaders that were sent and did not come back; of those
// in a row, the last is hit.
func findLost(h history, kind func(name string) bool) []hit {
	var hits []hit
	for i, e := range h.entries {
		if !isLoader(e) || !kind(strings.ToLower(e.Name)) {
			continue
		}
		if h.next(i, waitLoaded, cameBack) >= 0 || h.next(i, loopWithin, isLoader) >= 0 {
			continue
		}
		// Firmware that asks again gave up on the loader.
		if h.waited(i, waitLoaded) || h.next(i, waitLoaded, func(e Entry) bool { return asks(e) && e.Client != ClientIPXE }) >= 0 {
			hits = append(hits, hit{i, []any{e.Name}})
		}
	}
	return hits
}

func findLoop(h history) []hit {
	var hits []hit
	first, times := 0, 0
	for i, e := range h.entries {
		switch {
		case e.Source == HTTP && e.What == "script" || e.Source == Log && e.What == "install-started":
			times = 0
		case isLoader(e):
			if times == 0 || e.At.Sub(h.entries[first].At) > loopWithin {
				first, times = i, 0
			}
			if times++; times == loopTimes {
				hits = append(hits, hit{i, []any{times, brief(e.At.Sub(h.entries[first].At))}})
			}
		}
	}
	return hits
}

// toldPXE reports a BMC that was told to boot the network.
func toldPXE(e Entry) bool {
	return e.Source == BMC && (strings.Contains(strings.ToLower(e.Detail), "pxe") || strings.Contains(strings.ToLower(e.What), "pxe"))
}

func findDiskBoot(h history) []hit {
	var hits []hit
	told := -1
	for i, e := range h.entries {
		switch {
		case toldPXE(e):
			told = i
		case asks(e), e.Source == TFTP, e.Source == HTTP, e.Source == Installer:
			told = -1
		case told >= 0 && e.Client == ClientOS && (e.What == "discover" || e.What == "request") && e.At.Sub(h.entries[told].At) < 30*time.Minute:
			on := slices.IndexFunc(h.entries[told:i], powersOn)
			if on >= 0 {
				hits = append(hits, hit{i, nil})
			}
			told = -1
		}
	}
	return hits
}

func findSilence(h history) []hit {
	for i, e := range slices.Backward(h.entries) {
		if !powersOn(e) {
			continue
		}
		heard := h.next(i, 24*time.Hour, func(e Entry) bool { return e.Source != BMC && e.Source != Log && e.Source != Console })
		if heard < 0 && h.waited(i, waitPOST) {
			return []hit{{i, nil}}
		}
		return nil
	}
	return nil
}

func findKernelLost(h history) []hit {
	var hits []hit
	for i, e := range h.entries {
		if e.Source != HTTP || e.What != "initrd" || e.Detail != "" {
			continue
		}
		on := func(e Entry) bool {
			return e.What == "answer" || e.What == "answer-served" || e.Source == Installer || e.What == "disarmed" || e.Source == HTTP && e.What == "initrd"
		}
		if !h.later(i, on) && h.waited(i, waitKernel) {
			hits = append(hits, hit{i, nil})
		}
	}
	return hits
}

// later reports whether ok says yes to an entry behind index, however late,
// before the next install begins: what came late was no cause of an end.
func (h history) later(index int, ok func(e Entry) bool) bool {
	for _, e := range h.entries[index+1:] {
		if ok(e) {
			return true
		}
		if e.Source == Log && e.What == "install-started" {
			return false
		}
	}
	return false
}

// findRefused looks for answer files that were asked for from elsewhere.
func findRefused(h history) []hit {
	return h.each(func(e Entry) bool {
		return e.Source == HTTP && e.What == "answer" && strings.HasPrefix(e.Detail, Refused)
	}, func(e Entry) []any { return []any{e.Addr} })
}

func findNoReport(h history) []hit {
	var hits []hit
	for i, e := range h.entries {
		if e.What != "answer-served" {
			continue
		}
		on := func(e Entry) bool {
			return e.Source == Installer && e.What != stageAnswer || e.What == "disarmed" || e.What == "answer-served"
		}
		if !h.later(i, on) && h.waited(i, waitReport) {
			hits = append(hits, hit{i, nil})
		}
	}
	return hits
}
