package login

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
)

// Role is what somebody may do.
type Role string

// The roles. An operator may do everything; a viewer reads, and no secrets.
const (
	Viewer Role = "viewer"
	Admin  Role = "operator"
)

// Allows reports whether somebody with this role may do what needs another.
func (r Role) Allows(need Role) bool {
	return r == Admin || r == Viewer && need == Viewer
}

// Operator is somebody with a password.
type Operator struct {
	Name string `json:"name"`
	Role Role   `json:"role"`
	Hash string `json:"hash"`
}

// Operators is the file of those who have a password. It is read for each
// login, so that one who was removed is gone at once.
type Operators struct {
	Path string
	mu   sync.Mutex
}

var nameForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9._@-]{0,31}$`) })

// List gives the operators by name; none when there is no file.
func (o *Operators) List() ([]Operator, error) {
	info, err := os.Stat(o.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the operators: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others (mode %v): run `chmod 600 %s`", o.Path, info.Mode().Perm(), o.Path)
	}
	data, err := os.ReadFile(o.Path)
	if err != nil {
		return nil, fmt.Errorf("reading the operators: %w", err)
	}
	var all []Operator
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w; remove it and add the operators again", o.Path, err)
	}
	return all, nil
}

// Set adds an operator, or changes one.
func (o *Operators) Set(name string, role Role, password string) error {
	if !nameForm().MatchString(name) {
		return fmt.Errorf("%q is no name of an operator: small letters, digits, dots and hyphens, at most 32", name)
	}
	if role != Viewer && role != Admin {
		return fmt.Errorf("%q is no role: there are viewer and operator", role)
	}
	hash, err := Hash(password)
	if err != nil {
		return err
	}
	return o.change(func(all []Operator) ([]Operator, error) {
		return append(without(all, name), Operator{name, role, hash}), nil
	})
}

// Remove takes an operator away.
func (o *Operators) Remove(name string) error {
	return o.change(func(all []Operator) ([]Operator, error) {
		rest := without(all, name)
		if len(rest) == len(all) {
			return nil, fmt.Errorf("there is no operator %s: see `rackseed operator list`", name)
		}
		return rest, nil
	})
}

func without(all []Operator, name string) []Operator {
	return slices.DeleteFunc(slices.Clone(all), func(p Operator) bool { return p.Name == name })
}

func (o *Operators) change(edit func([]Operator) ([]Operator, error)) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	all, err := o.List()
	if err == nil {
		all, err = edit(all)
	}
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b Operator) int { return cmp.Compare(a.Name, b.Name) })
	data, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the operators: %w", err)
	}
	return replace(o.Path, data)
}

// replace writes a file that only its owner may read, whole or not at all.
func replace(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // it is gone, if all went well
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
