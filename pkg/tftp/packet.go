package tftp

import (
	"encoding/binary"
	"errors"
	"strings"
)

// Opcodes of RFC 1350 and RFC 2347.
const (
	opRRQ   = 1
	opWRQ   = 2
	opDATA  = 3
	opACK   = 4
	opERROR = 5
	opOACK  = 6
)

// Error codes of RFC 1350 that this server sends.
const (
	codeUndefined = 0
	codeNotFound  = 1
	codeAccess    = 2
	codeIllegal   = 4
)

// maxRequest is the largest request that is read. RFC 2347 allows 512 bytes; a
// longer one is refused for its name, not cut to look like another.
const maxRequest = 2048

// maxOptions bounds the options looked at; firmware sends at most five.
const maxOptions = 16

var (
	errNotRequest = errors.New("not a request")
	errMalformed  = errors.New("malformed request")
	errWrite      = errors.New("write request")
	errMode       = errors.New("unknown mode")
)

type option struct{ name, value string }

type readRequest struct {
	name     string // as sent
	netascii bool
	options  []option // names in lower case (RFC 2347: case does not matter)
}

// asked is the options in words.
func (r readRequest) asked() string {
	var words []string
	for _, o := range r.options {
		words = append(words, o.name+" "+o.value)
	}
	text := strings.Join(words, ", ")
	return text[:min(len(text), maxName)]
}

// parseRequest reads what arrived on the listening port.
func parseRequest(p []byte) (readRequest, error) {
	if len(p) < 2 {
		return readRequest{}, errNotRequest
	}
	switch binary.BigEndian.Uint16(p) {
	case opRRQ:
	case opWRQ:
		return readRequest{}, errWrite
	default:
		return readRequest{}, errNotRequest
	}
	name, rest, ok := strings.Cut(string(p[2:]), "\x00")
	if !ok {
		return readRequest{}, errMalformed
	}
	mode, rest, ok := strings.Cut(rest, "\x00")
	if !ok {
		return readRequest{}, errMalformed
	}
	r := readRequest{name: name}
	switch strings.ToLower(mode) {
	case "octet":
	case "netascii":
		r.netascii = true
	default:
		return readRequest{}, errMode
	}
	for len(r.options) < maxOptions {
		var o option
		if o.name, rest, ok = strings.Cut(rest, "\x00"); !ok {
			break
		}
		if o.value, rest, ok = strings.Cut(rest, "\x00"); !ok {
			break
		}
		o.name = strings.ToLower(o.name)
		r.options = append(r.options, o)
	}
	return r, nil
}

// parseReply reads what a client sends within a transfer: the number is the block
// of an ACK or the code of an ERROR.
func parseReply(p []byte) (op, number uint16, ok bool) {
	if len(p) < 4 {
		return 0, 0, false
	}
	op = binary.BigEndian.Uint16(p)
	return op, binary.BigEndian.Uint16(p[2:]), op == opACK || op == opERROR
}

// errorText cuts the message of an ERROR to what a log line can bear.
func errorText(p []byte) string {
	text, _, _ := strings.Cut(string(p[min(4, len(p)):]), "\x00")
	if len(text) > 100 {
		text = text[:100]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
}

func putDataHeader(p []byte, block uint64) {
	binary.BigEndian.PutUint16(p, opDATA)
	binary.BigEndian.PutUint16(p[2:], uint16(block))
}

func errorPacket(code uint16, text string) []byte {
	p := binary.BigEndian.AppendUint16(nil, opERROR)
	p = binary.BigEndian.AppendUint16(p, code)
	p = append(p, text...)
	return append(p, 0)
}

func oackPacket(options []option) []byte {
	p := binary.BigEndian.AppendUint16(nil, opOACK)
	for _, o := range options {
		p = append(append(p, o.name...), 0)
		p = append(append(p, o.value...), 0)
	}
	return p
}
