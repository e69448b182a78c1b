// Bigsite serves a rig until it is interrupted: many machines, so many state
// changes a second. It prints the address of the page, and at the end what the
// daemon's side cost.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/rackseed/rackseed/test/web/rig"
)

func main() {
	nodes := flag.Int("nodes", 16_000, "machines")
	rate := flag.Int("rate", 500, "state changes a second")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *nodes, *rate); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, nodes, rate int) error {
	s, err := rig.Open(ctx, nodes)
	if err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: s.Handler(l.Addr().String()), ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	fmt.Printf("http://%s/\n", l.Addr())
	begun, before := time.Now(), cpu()
	const perSecond = 20
	tick := time.NewTicker(time.Second / perSecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
			if err := s.Change(ctx, rate/perSecond); err != nil && ctx.Err() == nil {
				return err
			}
		case <-ctx.Done():
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	took := time.Since(begun)
	fmt.Printf("%d events; daemon: %.1f %% of one core, heap %d MiB\n", s.Seq(), 100*float64(cpu()-before)/float64(took), m.HeapAlloc>>20)
	err = server.Close()
	<-served
	return err
}

// cpu is the time that this process has used.
func cpu() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
