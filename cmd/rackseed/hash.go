package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
)

// hashTo copies r to w and gives the SHA-256 of what it copied, in hex.
func hashTo(w io.Writer, r io.Reader) (string, int64, error) {
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, h), r)
	if err != nil {
		return "", n, fmt.Errorf("copying: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), n, nil
}
