package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// TestFileVault: what was issued is on disk, sealed, before anybody could
// send it, and another command finds it there.
func TestFileVault(t *testing.T) {
	dir := t.TempDir()
	target := bmc.Target{Address: "10.21.0.11", Username: "admin", Password: "factory"}
	first := &fileVault{dir: dir}
	p, err := first.Issue(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	// It is killed here.
	second := &fileVault{dir: dir}
	if got := second.Pending(target); got != p {
		t.Error("the next command does not know what may have been set")
	}
	if again, err := second.Issue(t.Context(), target); err != nil || again != p {
		t.Errorf("what is in doubt is not given again: %v", err)
	}
	if err := second.Settle(t.Context(), target, true); err != nil {
		t.Fatal(err)
	}
	targets := []bmc.Target{target, {Address: "10.21.0.12", Username: "admin"}, {Address: "10.21.0.11", Username: "root"}}
	if all, err := second.fill(targets); err != nil || all || targets[0].Password != p || targets[1].Password != "" || targets[2].Password != "" {
		t.Errorf("%v, %v", all, err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "bmc-passwords.json"))
	if err != nil || strings.Contains(string(text), p.Reveal()) || !strings.Contains(string(text), "sealed:") {
		t.Errorf("%s, %v", text, err)
	}
	if err := second.forget(target.Address); err != nil || second.Pending(target) != "" {
		t.Errorf("%v", err)
	}
}

// TestFileVaultIsShared: batches and commands do not lose one another's.
func TestFileVaultIsShared(t *testing.T) {
	dir := t.TempDir()
	vaults := []*fileVault{{dir: dir}, {dir: dir}}
	if err := vaults[0].open(); err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for i := range 40 {
		wait.Go(func() {
			target := bmc.Target{Address: fmt.Sprint("10.21.0.", i), Username: "admin"}
			v := vaults[i%2]
			if _, err := v.Issue(context.Background(), target); err != nil {
				t.Error(err)
			}
			if err := v.Settle(context.Background(), target, true); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	all, err := vaults[0].read()
	if err != nil || len(all) != 40 {
		t.Fatalf("%d are left, %v", len(all), err)
	}
	for address, k := range all {
		if k.Password == "" || k.Next != "" {
			t.Errorf("%s: %v", address, k)
		}
	}
}
