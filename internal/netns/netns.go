// Package netns runs functions inside named network namespaces, for tests.
package netns

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Do calls f on a thread that is inside the namespace that `ip netns` calls
// name. Sockets that f opens stay inside it for good; goroutines that f starts
// do not run there.
//
// The thread comes home and lives on. One that ended would take every program
// with it that it had started under Pdeathsig, whichever test that was: the
// signal follows the thread and not the process (prctl(2)).
func Do(name string, f func() error) error {
	runtime.LockOSThread()
	home, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("opening this thread's network namespace: %w", err)
	}
	defer home.Close()
	target, err := os.Open("/run/netns/" + name)
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("opening the network namespace: %w", err)
	}
	defer target.Close()
	if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("entering the network namespace %s: %w", name, err)
	}
	result := f()
	// A thread that cannot come home stays locked: the runtime ends it with this goroutine.
	if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("leaving the network namespace %s: %w", name, err)
	}
	runtime.UnlockOSThread()
	return result
}
