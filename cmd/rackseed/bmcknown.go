package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/bmc/batch"
)

// knownBMCs is a file of what was learned of BMCs that no log knows, by
// address, as ssh keeps its known hosts: a certificate that changes is
// noticed without a daemon, too.
type knownBMCs string

func (k knownBMCs) read() (map[string]bmc.Known, error) {
	known := map[string]bmc.Known{}
	data, err := os.ReadFile(string(k))
	if errors.Is(err, fs.ErrNotExist) {
		return known, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &known)
	}
	if err != nil {
		return nil, fmt.Errorf("reading what is known of BMCs: %w; move %s away to begin anew", err, k)
	}
	return known, nil
}

// recall gives targets what is known of them.
func (k knownBMCs) recall(targets []bmc.Target) error {
	known, err := k.read()
	if err != nil {
		return err
	}
	for i := range targets {
		if pin := targets[i].Known.Certificate; pin == "" {
			targets[i].Known = known[targets[i].Address]
		}
	}
	return nil
}

// learn adds what the results tell. Another command may have written
// meanwhile, so the file is read again.
func (k knownBMCs) learn(results []batch.Result) error {
	known, err := k.read()
	if err != nil {
		return err
	}
	changed := false
	for _, r := range results {
		if r.OK && r.Known != (bmc.Known{}) && known[r.Address] != r.Known {
			known[r.Address], changed = r.Known, true
		}
	}
	if !changed {
		return nil
	}
	return k.write(known)
}

// write replaces the file in one step.
func (k knownBMCs) write(known map[string]bmc.Known) error {
	data, err := json.MarshalIndent(known, "", " ")
	if err != nil {
		return fmt.Errorf("writing what is known of BMCs: %w", err)
	}
	dir := filepath.Dir(string(k))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("writing what is known of BMCs: %w", err)
	}
	f, err := os.CreateTemp(dir, ".bmcs-*")
	if err != nil {
		return fmt.Errorf("writing what is known of BMCs: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone, once it was renamed
	_, err = f.Write(append(data, '\n'))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), string(k))
	}
	if err != nil {
		return fmt.Errorf("writing what is known of BMCs: %w", err)
	}
	return nil
}
