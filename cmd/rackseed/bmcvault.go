package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/seal"
	"github.com/rackseed/rackseed/pkg/site"
)

// fileVault keeps the passwords of BMCs that no log knows, by address, sealed
// with the key of the state directory. It is on disk before a password is
// sent, and whole at every moment.
type fileVault struct {
	dir   string
	given site.Secret // to set, in place of one of its own for each

	mu   sync.Mutex
	box  *seal.Box
	file fs.FileInfo     // as it was read last; nil before
	all  map[string]kept // in it
}

// kept is what is on record of one BMC.
type kept struct {
	Username string      `json:"username"`
	Password site.Secret `json:"password,omitempty"` // sealed; was seen to be in force
	Next     site.Secret `json:"next,omitempty"`     // sealed; on record before it was sent
	Before   site.Secret `json:"before,omitempty"`   // sealed; was in force before Password
}

func (v *fileVault) path() string { return filepath.Join(v.dir, "bmc-passwords.json") }

// read gives what is on record, which is not to be changed. The file is read
// once for a rack, and again when another command has replaced it.
func (v *fileVault) read() (map[string]kept, error) {
	file, err := os.Stat(v.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && v.file != nil && os.SameFile(file, v.file) && file.ModTime().Equal(v.file.ModTime()) && file.Size() == v.file.Size() {
		return v.all, nil
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(v.path())
	}
	all := map[string]kept{}
	if err == nil {
		err = json.Unmarshal(data, &all)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the passwords of BMCs: %w; bring %s back from a backup", err, v.path())
	}
	v.file, v.all = file, all
	return all, nil
}

// change edits what is on record of one BMC, while no other command does.
func (v *fileVault) change(address string, edit func(*kept) error) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.open(); err != nil {
		return err
	}
	lock, err := os.OpenFile(v.path()+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("locking the passwords of BMCs: %w", err)
	}
	defer func() { _ = lock.Close() }() // and with it the lock is gone
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("locking the passwords of BMCs: %w", err)
	}
	recorded, err := v.read()
	if err != nil {
		return err
	}
	k := recorded[address]
	if err := edit(&k); err != nil {
		return err
	}
	all := map[string]kept{}
	maps.Copy(all, recorded)
	all[address] = k
	if k == (kept{}) {
		delete(all, address)
	}
	return v.write(all)
}

// open finds the key, and makes it at first use.
func (v *fileVault) open() error {
	if v.box != nil {
		return nil
	}
	if err := os.MkdirAll(v.dir, 0o700); err != nil {
		return fmt.Errorf("making the state directory: %w; give a writable one with --state DIR", err)
	}
	box, err := seal.Open(filepath.Join(v.dir, "key"))
	v.box = box
	return err
}

// write returns once the file is on disk under its name.
func (v *fileVault) write(all map[string]kept) error {
	data, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return fmt.Errorf("writing the passwords of BMCs: %w", err)
	}
	f, err := os.CreateTemp(v.dir, ".passwords-*")
	if err != nil {
		return fmt.Errorf("writing the passwords of BMCs: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone, once it was renamed
	_, err = f.Write(append(data, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), v.path())
	}
	if err == nil {
		err = syncDir(v.dir)
	}
	if err != nil {
		return fmt.Errorf("writing the passwords of BMCs: %w", err)
	}
	return nil
}

func syncDir(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Issue puts a password on record that is about to be set.
func (v *fileVault) Issue(_ context.Context, t bmc.Target) (site.Secret, error) {
	var next site.Secret
	err := v.change(t.Address, func(k *kept) error {
		switch {
		case v.given != "":
			next = v.given
		case k.Next != "" && k.Username == t.Username:
			text, err := v.box.Open(k.Next)
			next = site.Secret(text)
			return err
		default:
			next = bmc.GeneratePassword()
		}
		if k.Username != t.Username {
			*k = kept{Username: t.Username}
		}
		k.Next = v.box.Seal(next)
		return nil
	})
	return next, err
}

// Pending is what a change that did not come to its end may have set.
func (v *fileVault) Pending(t bmc.Target) site.Secret {
	_, next, err := v.look(t)
	if err != nil {
		return ""
	}
	return next
}

// Settle puts on record which password is in force.
func (v *fileVault) Settle(_ context.Context, t bmc.Target, changed bool) error {
	return v.change(t.Address, func(k *kept) error {
		if changed {
			k.Before, k.Password = k.Password, k.Next
		}
		k.Next = ""
		return nil
	})
}

// forget drops what is on record of a BMC, because the log has it.
func (v *fileVault) forget(address string) error {
	v.mu.Lock()
	all, err := v.read()
	v.mu.Unlock()
	if _, known := all[address]; err != nil || !known {
		return err
	}
	return v.change(address, func(k *kept) error {
		*k = kept{}
		return nil
	})
}

// look opens what is on record of a BMC.
func (v *fileVault) look(t bmc.Target) (password, next site.Secret, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	all, err := v.read()
	k, ok := all[t.Address]
	if err != nil || !ok || k.Username != t.Username {
		return "", "", err
	}
	if err := v.open(); err != nil {
		return "", "", err
	}
	one, err1 := v.box.Open(k.Password)
	two, err2 := v.box.Open(k.Next)
	return site.Secret(one), site.Secret(two), errors.Join(err1, err2)
}

// fill gives targets the passwords that are on record, and reports whether every target has one now.
func (v *fileVault) fill(targets []bmc.Target) (all bool, err error) {
	all = true
	for i := range targets {
		t := &targets[i]
		password, _, err := v.look(*t)
		if err != nil {
			return false, err
		}
		if password != "" {
			t.Password = password // it was set after the plan was written
		}
		all = all && t.Password != ""
	}
	return all, nil
}
