package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
)

// noRackseed runs the peers alone.
const noRackseed = "none"

// buildRackseed builds the binary as it is released, unless one was named.
func (b *bench) buildRackseed(ctx context.Context) error {
	if b.rackseed != "" {
		return nil
	}
	b.rackseed = filepath.Join(b.lab.dir, "rackseed")
	b.logf("== building rackseed")
	if err := command(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", b.rackseed, "./cmd/rackseed"); err != nil {
		return fmt.Errorf("%w\n-rackseed none runs the peers alone", err)
	}
	return nil
}

func rackseed() server {
	return server{name: ours, start: func(ctx context.Context, b *bench, w work) (*rig, error) {
		return nil, errors.New("not wired yet")
	}}
}
