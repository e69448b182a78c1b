package image

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestTurns feeds many readers: never more than atOnce of them at a time, and
// readers that take nothing hold nobody up.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line := newTurns()
		var fed, most atomic.Int64
		for range 10 * atOnce {
			go func() {
				end := line.take()
				most.Store(max(most.Load(), fed.Add(1)))
				time.Sleep(longestTurn / 2)
				fed.Add(-1)
				end()
			}()
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := most.Load(); got != atOnce {
			t.Errorf("%d readers were fed at once, want %d", got, atOnce)
		}

		stuck := make(chan struct{})
		for range 3 * atOnce {
			go func() {
				end := line.take()
				<-stuck
				end()
			}()
		}
		time.Sleep(4 * longestTurn)
		begin := time.Now()
		line.take()()
		if waited := time.Since(begin); waited > longestTurn {
			t.Errorf("a reader waited %s for readers that take nothing", waited)
		}
		close(stuck)
		synctest.Wait()
		if len(line) != 0 {
			t.Errorf("%d turns were never given back", len(line))
		}
	})
}
