package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/rackseed/rackseed/pkg/storm"
)

// loadArg makes this program the load generator: it runs again in the other
// namespace, reads one order from its standard input and answers on its output.
const loadArg = "load"

// order is one rehearsal; exactly one field is set.
type order struct {
	DHCP  *storm.DHCPConfig `json:",omitempty"`
	Burst *storm.DHCPConfig `json:",omitempty"`
	TFTP  *storm.TFTPConfig `json:",omitempty"`
	HTTP  *storm.HTTPConfig `json:",omitempty"`
	Boot  *storm.BootConfig `json:",omitempty"`
}

// load runs one order.
func load(ctx context.Context, in io.Reader, out io.Writer) error {
	var o order
	if err := json.NewDecoder(in).Decode(&o); err != nil {
		return fmt.Errorf("reading the order: %w", err)
	}
	var result any
	var err error
	switch {
	case o.DHCP != nil:
		result, err = storm.DHCP(ctx, *o.DHCP)
	case o.Burst != nil:
		result, err = storm.Burst(ctx, *o.Burst)
	case o.TFTP != nil:
		result, err = storm.TFTP(ctx, *o.TFTP)
	case o.HTTP != nil:
		result, err = storm.HTTP(ctx, *o.HTTP)
	case o.Boot != nil:
		result, err = storm.Boot(ctx, *o.Boot)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(result)
}

// run has the order carried out on the load's side of the cable.
func (o order) run(ctx context.Context, l *lab, result any) error {
	in, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("writing the order: %w", err)
	}
	cmd := l.inside(ctx, l.load, l.cpus[1], l.self, loadArg)
	cmd.Stdin = bytes.NewReader(in)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("loading: %w: %s", err, bytes.TrimSpace(complaint.Bytes()))
	}
	if err := json.Unmarshal(out.Bytes(), result); err != nil {
		return fmt.Errorf("reading the result: %w", err)
	}
	return nil
}
