package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
)

// Positions is how far in the log each receiver has been told, in a file of
// the state directory. It holds hashes of addresses, not the addresses.
type Positions struct {
	path string
	mu   sync.Mutex
	at   map[string]uint64
}

// OpenPositions reads the file, which need not be there.
func OpenPositions(path string) (*Positions, error) {
	p := &Positions{path: path, at: map[string]uint64{}}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &p.at)
	}
	if err != nil {
		return nil, fmt.Errorf("reading how far webhooks were told: %w; remove %s to begin at the present", err, path)
	}
	return p, nil
}

func keyOf(url string) string {
	sum := sha256.Sum256([]byte(url))
	return hex.EncodeToString(sum[:16])
}

// Get is the last event that a receiver confirmed.
func (p *Positions) Get(url string) (uint64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	seq, ok := p.at[keyOf(url)]
	return seq, ok
}

// Set keeps a position durably.
func (p *Positions) Set(url string, seq uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at[keyOf(url)] = seq
	return p.save()
}

// Keep forgets the receivers that are not among these.
func (p *Positions) Keep(urls []string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := map[string]bool{}
	for _, u := range urls {
		known[keyOf(u)] = true
	}
	before := len(p.at)
	maps.DeleteFunc(p.at, func(key string, _ uint64) bool { return !known[key] })
	if len(p.at) == before {
		return nil
	}
	return p.save()
}

// save replaces the file, so that a power cut leaves the old or the new one.
func (p *Positions) save() error {
	data, err := json.Marshal(p.at)
	if err != nil {
		return fmt.Errorf("keeping how far webhooks were told: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(p.path), ".webhooks-*")
	if err != nil {
		return fmt.Errorf("keeping how far webhooks were told: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // it is gone, if all went well
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), p.path)
	}
	if err != nil {
		return fmt.Errorf("keeping how far webhooks were told: %w", err)
	}
	return nil
}
