package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"
)

// qmp speaks the QEMU Machine Protocol: one JSON object after another, commands answered in order, with
// events in between.
type qmp struct {
	conn net.Conn
	dec  *json.Decoder
}

type qmpReply struct {
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
	Event string          `json:"event"`
	QMP   json.RawMessage `json:"QMP"`
}

// dialQMP waits for QEMU to open its socket.
func dialQMP(ctx context.Context, path string, process *Process) (*qmp, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
		if err == nil {
			q := &qmp{conn: conn, dec: json.NewDecoder(conn)}
			return q, q.hello(ctx)
		}
		select {
		case <-tick.C:
		case <-process.Done():
			return nil, errors.New("QEMU ended at once")
		case <-ctx.Done():
			return nil, fmt.Errorf("connecting to QEMU: %w", err)
		}
	}
}

func (q *qmp) hello(ctx context.Context) error {
	if err := q.deadline(ctx); err != nil {
		return err
	}
	var greeting qmpReply
	if err := q.dec.Decode(&greeting); err != nil || greeting.QMP == nil {
		return fmt.Errorf("reading QEMU's greeting: %w", err)
	}
	return q.execute(ctx, "qmp_capabilities", nil)
}

func (q *qmp) deadline(ctx context.Context) error {
	until, ok := ctx.Deadline()
	if !ok {
		until = time.Now().Add(time.Minute)
	}
	return q.conn.SetDeadline(until)
}

func (q *qmp) execute(ctx context.Context, command string, arguments map[string]any) error {
	if err := q.deadline(ctx); err != nil {
		return err
	}
	request := map[string]any{"execute": command}
	if arguments != nil {
		request["arguments"] = arguments
	}
	if err := json.NewEncoder(q.conn).Encode(request); err != nil {
		return fmt.Errorf("QMP %s: %w", command, err)
	}
	for {
		var reply qmpReply
		if err := q.dec.Decode(&reply); err != nil {
			return fmt.Errorf("QMP %s: %w", command, err)
		}
		switch {
		case reply.Event != "":
		case reply.Error != nil:
			return fmt.Errorf("QMP %s: %s: %s", command, reply.Error.Class, reply.Error.Desc)
		default:
			return nil
		}
	}
}

func (q *qmp) close() { q.conn.Close() }
