package flight_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rackseed/rackseed/pkg/flight"
	"github.com/rackseed/rackseed/pkg/site"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var epoch = time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)

func at(s float64) time.Time {
	return epoch.Add(time.Duration(s * float64(time.Second)).Round(time.Millisecond))
}

// open gives a recorder whose writer runs until the function it returns is
// called, which a power cut is not.
func open(t testing.TB, o flight.Options) (*flight.Recorder, func()) {
	t.Helper()
	if o.Clock == nil {
		o.Clock = func() time.Time { return epoch }
	}
	r, err := flight.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(stop)
	return r, stop
}

func whats(entries []flight.Entry) []string {
	var out []string
	for _, e := range entries {
		out = append(out, e.What)
	}
	return out
}

func TestATimelineSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	r, stop := open(t, flight.Options{Dir: dir})
	for i := range 3 {
		r.Record(flight.Entry{At: at(float64(i)), Source: flight.DHCP, Node: "n1", What: fmt.Sprint("discover-", i)})
	}
	r.Record(flight.Entry{At: at(1), Source: flight.DHCP, Node: "n2", What: "other"})
	stop()

	r, _ = open(t, flight.Options{Dir: dir})
	r.Record(flight.Entry{At: at(9), Source: flight.TFTP, Node: "n1", What: "sent"})
	got := whats(r.Timeline("n1", time.Time{}))
	if want := []string{"discover-0", "discover-1", "discover-2", "sent"}; !slices.Equal(got, want) {
		t.Errorf("the timeline is %v, want %v", got, want)
	}
	if got := whats(r.Timeline("n1", at(2))); !slices.Equal(got, []string{"discover-2", "sent"}) {
		t.Errorf("since a time it is %v", got)
	}
	if e, ok := r.Last("n1", flight.DHCP); !ok || e.What != "discover-2" {
		t.Errorf("the last of DHCP is %v, %v", e, ok)
	}
	if _, ok := r.Last("n3"); ok {
		t.Error("a machine that was never seen has a last entry")
	}
}

// A power cut in the middle of a line costs that line, and no other.
func TestATornLineCostsOneEntry(t *testing.T) {
	dir := t.TempDir()
	r, stop := open(t, flight.Options{Dir: dir})
	r.Record(flight.Entry{At: at(0), Source: flight.DHCP, Node: "n1", What: "discover"})
	r.Record(flight.Entry{At: at(1), Source: flight.DHCP, Node: "n1", What: "offer"})
	stop()
	path := filepath.Join(dir, "n1.jsonl")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data[:len(data)-5], 0o600); err != nil {
		t.Fatal(err)
	}
	r, stop = open(t, flight.Options{Dir: dir})
	r.Record(flight.Entry{At: at(2), Source: flight.DHCP, Node: "n1", What: "request"})
	stop()
	r, _ = open(t, flight.Options{Dir: dir})
	if got := whats(r.Timeline("n1", time.Time{})); !slices.Equal(got, []string{"discover", "request"}) {
		t.Errorf("the timeline is %v", got)
	}
}

// What a machine says on its console does not push out what happened to it,
// and neither grows without bound, in memory or on disk.
func TestEverythingIsBounded(t *testing.T) {
	dir := t.TempDir()
	r, stop := open(t, flight.Options{Dir: dir, PerNode: 10, MaxFile: 4000})
	r.Record(flight.Entry{At: at(0), Source: flight.DHCP, Node: "n1", What: "discover"})
	for i := range 500 {
		r.Record(flight.Entry{At: at(1), Source: flight.Syslog, Node: "n1", What: fmt.Sprint("line-", i)})
		if i%50 == 0 {
			if err := r.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	got := r.Timeline("n1", time.Time{})
	if len(got) != 11 || got[0].What != "discover" || got[10].What != "line-499" {
		t.Errorf("memory holds %v", whats(got))
	}
	stop()
	for _, name := range []string{"n1.jsonl", "n1.jsonl.1"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err == nil && info.Size() > 4000+51*200 {
			t.Errorf("%s has %d bytes", name, info.Size())
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "n1.jsonl.2")); err == nil {
		t.Error("a third file is kept")
	}
}

func TestMachinesThatSayNothingLeaveMemoryAndComeBack(t *testing.T) {
	r, _ := open(t, flight.Options{Dir: t.TempDir(), InMemory: 100})
	for i := range 300 {
		r.Record(flight.Entry{At: at(float64(i)), Source: flight.DHCP, Node: fmt.Sprint("n", i), What: "discover"})
	}
	if err := r.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := r.Held(); n > 100 {
		t.Errorf("%d entries in memory", n)
	}
	for i, name := range []string{"n0", "n150", "n299"} {
		r.Record(flight.Entry{At: at(1000), Source: flight.DHCP, Node: name, What: "request"})
		if i > 0 { // it is in the file, too, when the file is read
			if err := r.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := whats(r.Timeline(name, time.Time{})); !slices.Equal(got, []string{"discover", "request"}) {
			t.Errorf("the timeline of %s is %v", name, got)
		}
	}
}

func TestAFollowerMissesNothing(t *testing.T) {
	r, _ := open(t, flight.Options{Dir: t.TempDir()})
	r.Record(flight.Entry{At: at(0), Source: flight.DHCP, Node: "n1", What: "0"})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() {
		for i := 1; i <= 200; i++ {
			r.Record(flight.Entry{At: at(0), Source: flight.Source([]string{"log", "syslog"}[i%2]), Node: "n1", What: fmt.Sprint(i)})
		}
	}()
	next := 0
	for e := range r.Follow(ctx, "n1", time.Time{}) {
		if e.What != fmt.Sprint(next) {
			t.Fatalf("got %s, want %d", e.What, next)
		}
		if next++; next > 200 {
			return
		}
	}
	t.Errorf("the follower ended after %d entries", next)
}

func TestAFollowerOfAMachineThatWasNeverSeenWaitsForIt(t *testing.T) {
	r, _ := open(t, flight.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	first := make(chan flight.Entry, 1)
	go func() {
		for e := range r.Follow(ctx, "n1", time.Time{}) {
			first <- e
			return
		}
	}()
	for {
		r.Record(flight.Entry{Source: flight.BMC, Node: "n1", What: "power-on"})
		select {
		case e := <-first:
			if e.What != "power-on" {
				t.Errorf("got %v", e)
			}
			return
		case <-ctx.Done():
			t.Fatal("the follower saw nothing")
		default:
		}
	}
}

// A machine that asks in a loop is heard at the pace of a boot, and again once
// it has calmed down; how much was not kept is told then. What others say of it
// is kept meanwhile.
func TestAMachineInALoopIsBounded(t *testing.T) {
	r, _ := open(t, flight.Options{})
	for i := range 4000 {
		r.Record(flight.Entry{At: at(float64(i) / 1000), Source: flight.DHCP, Node: "n1", What: "discover"})
	}
	if r.Full("n2", site.MAC{}, at(3.999)) || !r.Full("n1", site.MAC{}, at(3.999)) {
		t.Error("the wrong machine is full")
	}
	if kept := 4001 - int(r.Dropped()); kept < 32 || kept > 32+10 {
		t.Errorf("%d of 4000 in four seconds were recorded", kept)
	}
	before := r.Dropped()
	r.Record(flight.Entry{At: at(4), Source: flight.BMC, Node: "n1", What: "power-off"})
	if e, ok := r.Last("n1"); !ok || e.What != "power-off" {
		t.Errorf("in the middle of it the last entry is %+v", e)
	}
	r.Record(flight.Entry{At: at(60), Source: flight.DHCP, Node: "n1", What: "calm", Detail: "PXE"})
	r.Record(flight.Entry{At: at(5), Source: flight.DHCP, Node: "n2", What: "another"})
	e, ok := r.Last("n1")
	if !ok || e.What != "calm" || r.Dropped() != before {
		t.Errorf("the last entry is %+v", e)
	}
	var more int
	if _, err := fmt.Sscanf(e.Detail, "PXE; %d more before it, too many to keep", &more); err != nil || more == 0 || more > 4000 {
		t.Errorf("it says %q", e.Detail)
	}
}

// A flood of made-up MACs fills neither memory nor the disk.
func TestStrangersAreBounded(t *testing.T) {
	dir := t.TempDir()
	r, stop := open(t, flight.Options{Dir: dir, Strangers: 20})
	for i := range 100 {
		r.Record(flight.Entry{At: at(0), Source: flight.DHCP, MAC: site.MAC{2, 0, 0, 0, 0, byte(i)}, What: "discover"})
	}
	if r.Dropped() != 80 {
		t.Errorf("%d dropped", r.Dropped())
	}
	if got := r.Timeline("02:00:00:00:00:05", time.Time{}); len(got) != 1 {
		t.Errorf("a stranger's timeline is %v", got)
	}
	stop()
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil || len(files) != 20 {
		t.Errorf("%d files, %v", len(files), err)
	}
	open(t, flight.Options{Dir: dir, Strangers: 5})
	if files, _ := filepath.Glob(filepath.Join(dir, "*.jsonl")); len(files) != 5 {
		t.Errorf("%d files after a restart with room for 5", len(files))
	}
}

// However many machines there are, the disk is not filled.
func TestAllFilesTogetherAreBounded(t *testing.T) {
	dir := t.TempDir()
	const most = 100_000
	total := func() (n int64) {
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if info, err := f.Info(); err == nil {
				n += info.Size()
			}
		}
		return n
	}
	for range 2 {
		r, stop := open(t, flight.Options{Dir: dir, MaxTotal: most, MaxFile: 10_000})
		for i := range 2000 {
			r.Record(flight.Entry{At: at(float64(i)), Source: flight.DHCP, Node: fmt.Sprint("n", i%100), What: "discover", Detail: "PXE of UEFI x64"})
			if i%50 == 0 {
				if err := r.Sync(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		stop()
		if n := total(); n > most+50*200 || n < most/4 {
			t.Errorf("%d bytes of files", n)
		}
	}
}

// The log of the site is recorded from where the last daemon left off; what
// was written and not taken down as such is read once.
func TestWhereTheLogWasLeft(t *testing.T) {
	dir := t.TempDir()
	r, stop := open(t, flight.Options{Dir: dir})
	r.Record(flight.Entry{At: at(0), Seq: 41, Source: flight.Log, Node: "n1", What: "armed"})
	r.Record(flight.Entry{At: at(1), Seq: 42, Source: flight.Log, Node: "n1", What: "install-started"})
	stop()
	r, stop = open(t, flight.Options{Dir: dir})
	if r.Logged() != 42 {
		t.Errorf("the log was left at %d", r.Logged())
	}
	r.Record(flight.Entry{At: at(1), Seq: 42, Source: flight.Log, Node: "n1", What: "install-started"})
	want := []string{"armed", "install-started"}
	if got := whats(r.Timeline("n1", time.Time{})); !slices.Equal(got, want) {
		t.Errorf("the timeline is %v", got)
	}
	stop()
	r, _ = open(t, flight.Options{Dir: dir})
	if got := whats(r.Timeline("n1", time.Time{})); !slices.Equal(got, want) {
		t.Errorf("after another restart it is %v", got)
	}
}

// What comes from the wire reaches terminals: it is one printable line, and
// what looks like a secret is not in it, on disk either.
func TestNothingUnprintableAndNoSecretIsKept(t *testing.T) {
	dir := t.TempDir()
	r, stop := open(t, flight.Options{Dir: dir})
	secrets := []string{"TOKENTOKENTOKENTOKEN", "$6$SALT$HASHHASH", "hunter2", "geheim"}
	for _, detail := range []string{
		"Command line: inst.ks=http://10.20.0.1:8080/answer/TOKENTOKENTOKENTOKEN/ks.cfg quiet",
		"POST /report/TOKENTOKENTOKENTOKEN/early HTTP/1.1",
		"rootpw --iscrypted $6$SALT$HASHHASH",
		"rootpw hunter2",
		"user admin password=hunter2 logged in",
		`{"password": "geheim"}`,
		"BMC_PASSWORD=geheim",
	} {
		r.Record(flight.Entry{Source: flight.Syslog, Node: "n1", What: "line", Detail: detail})
	}
	r.Record(flight.Entry{Source: flight.Console, Node: "n1", What: "line", Detail: "\x1b[31mred\x1b[0m\r\n\u202eleft \u4e2d\u6587 \xff" + strings.Repeat("x", 2000)})
	stop()
	data, err := os.ReadFile(filepath.Join(dir, "n1.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range secrets {
		if bytes.Contains(data, []byte(secret)) {
			t.Errorf("%s is in the file:\n%s", secret, data)
		}
	}
	e, _ := r.Last("n1", flight.Console)
	if !strings.HasPrefix(e.Detail, "[31mred[0m left \u4e2d\u6587 xxx") || len(e.Detail) > 400 {
		t.Errorf("the console said %q", e.Detail)
	}
}

func TestADiskThatIsFullStopsNobody(t *testing.T) {
	dir := t.TempDir()
	r, stop := open(t, flight.Options{Dir: dir})
	if err := os.Mkdir(filepath.Join(dir, "n1.jsonl"), 0o700); err != nil { // nothing can be appended to a folder
		t.Fatal(err)
	}
	r.Record(flight.Entry{At: at(0), Source: flight.DHCP, Node: "n1", What: "discover"})
	if err := r.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := r.Timeline("n1", time.Time{}); len(got) != 1 || r.Dropped() != 1 {
		t.Errorf("%v in memory, %d dropped", got, r.Dropped())
	}
	stop()
}

func FuzzReadEntries(f *testing.F) {
	line, err := json.Marshal(flight.Entry{At: epoch, Source: flight.DHCP, Node: "n1", What: "discover", Detail: "x"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line)
	f.Add(append(append(line, '\n'), line[:20]...))
	f.Add([]byte("{}\n\nnull\n[1]\n\x00\xff\n"))
	f.Add(bytes.Repeat([]byte{'x'}, 40<<10))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, skipped := flight.ReadEntries(bytes.NewReader(data))
		if len(all)+skipped > bytes.Count(data, []byte{'\n'})+1 {
			t.Fatalf("%d entries and %d lines passed over", len(all), skipped)
		}
		for _, e := range all {
			if clean := flight.Clean(e.Detail, 400); clean != e.Detail && !strings.Contains(clean, "***") || strings.ContainsAny(e.Detail+e.What+e.Cause, "\x1b\n\x00") {
				t.Fatalf("not fit for a terminal: %+v", e)
			}
		}
	})
}

// Record is called on the way of every DHCP message.
func BenchmarkRecord(b *testing.B) {
	for _, dir := range []string{"", b.TempDir()} {
		b.Run(map[bool]string{true: "memory", false: "disk"}[dir == ""], func(b *testing.B) {
			r, stop := open(b, flight.Options{Dir: dir})
			defer stop()
			names := make([]string, 512)
			for i := range names {
				names[i] = fmt.Sprintf("cs-computer-%04d", i)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				r.Record(flight.Entry{At: epoch.Add(time.Duration(i) * time.Millisecond), Source: flight.DHCP, Node: names[i%512], What: "discover", Detail: "UEFI x64 PXE: reserved by the plan; armed by ops"})
			}
			b.ReportMetric(float64(r.Dropped())/float64(i), "dropped/op")
		})
	}
}
