package sim

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"os"
)

// hack/demo-medium.sh makes it: a tree like Debian's, full of zeros.
//
//go:embed medium.iso.gz
var medium []byte

// WriteMedium writes the demo's installation medium as a file.
func WriteMedium(path string) (err error) {
	z, err := gzip.NewReader(bytes.NewReader(medium))
	if err != nil {
		return fmt.Errorf("unpacking the demo's medium: %w", err)
	}
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("writing the demo's medium: %w", err)
	}
	if _, err = io.Copy(f, z); err == nil {
		err = z.Close()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("writing the demo's medium: %w", err)
	}
	return nil
}
