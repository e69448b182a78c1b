package bolt_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/rackseed/rackseed/pkg/store"
	"github.com/rackseed/rackseed/pkg/store/bolt"
	"github.com/rackseed/rackseed/pkg/store/storetest"
)

var quiet = bolt.Options{Log: slog.New(slog.DiscardHandler)}

func open(t testing.TB, dir string) *bolt.Store {
	t.Helper()
	s, err := bolt.Open(context.Background(), dir, quiet)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return s
}

func TestConformance(t *testing.T) {
	dirs := make(map[store.Log]string)
	openIn := func(t testing.TB, dir string) store.Log {
		s := open(t, dir)
		dirs[s] = dir
		return s
	}
	storetest.Run(t,
		func(t testing.TB) store.Log { return openIn(t, t.TempDir()) },
		func(t testing.TB, l store.Log) store.Log {
			if err := l.Close(); err != nil {
				t.Fatalf("Close: %v", err)
			}
			return openIn(t, dirs[l])
		})
}
