package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// ipxe runs scripts as the small part of iPXE that boots machines: enough of
// the language for what a provisioning server sends, and an error for the
// rest, so that a script which uses more is noticed.
func (m *Machine) ipxe(ctx context.Context, first string) error {
	text, err := m.fetch(ctx, first)
	if err != nil {
		return err
	}
	for {
		s := &script{m: m, lines: strings.Split(string(text), "\n"), vars: m.settings()}
		err := s.run(ctx)
		var chain *chainTo
		if !errors.As(err, &chain) {
			return err
		}
		text = chain.text
	}
}

// settings are the values that scripts use; netX is the NIC in use.
func (m *Machine) settings() map[string]string {
	v := map[string]string{
		"netX/mac": m.MAC.String(), "netX/ip": m.addr.String(), "uuid": m.UUID.String(),
		"serial:uristring": url.QueryEscape(m.Serial), "buildarch": "x86_64", "platform": "efi",
	}
	if m.Firmware == BIOS {
		v["platform"] = "pcbios"
	}
	return v
}

// chainTo replaces the script by one that was fetched.
type chainTo struct {
	uri  string
	text []byte
}

func (c *chainTo) Error() string { return "chain " + c.uri }

// errFalse is the failure that || and && look at.
var errFalse = errors.New("false")

type script struct {
	m              *Machine
	lines          []string
	vars           map[string]string
	kernel, initrd string
	args           []string
	next           int
}

func (s *script) run(ctx context.Context) error {
	if len(s.lines) == 0 || s.lines[0] != "#!ipxe" {
		return errors.New("not an iPXE script")
	}
	for s.next = 1; s.next < len(s.lines); {
		line := s.lines[s.next]
		s.next++
		if err := s.line(ctx, line); err != nil {
			return err
		}
	}
	return errLocal
}

// line runs commands joined by || and &&. A failure that nothing catches
// ends the script, as in iPXE.
func (s *script) line(ctx context.Context, line string) error {
	var err error
	join := "&&"
	for _, part := range splitCommands(line) {
		if part == "||" || part == "&&" {
			join = part
			continue
		}
		if (join == "&&") != (err == nil) {
			continue
		}
		err = s.command(ctx, strings.Fields(s.expand(part)))
		if err != nil && !errors.Is(err, errFalse) {
			return err
		}
	}
	if err != nil && strings.HasSuffix(strings.TrimSpace(line), "||") {
		return nil
	}
	return err
}

func splitCommands(line string) []string {
	var parts []string
	for {
		i := strings.Index(line, "||")
		if j := strings.Index(line, "&&"); j >= 0 && (i < 0 || j < i) {
			i = j
		}
		if i < 0 {
			return append(parts, line)
		}
		parts = append(parts, line[:i], line[i:i+2])
		line = line[i+2:]
	}
}

var variable = regexp.MustCompile(`\$\{([^}]*)\}`)

func (s *script) expand(text string) string {
	return variable.ReplaceAllStringFunc(text, func(v string) string { return s.vars[v[2:len(v)-1]] })
}

func (s *script) command(ctx context.Context, words []string) error {
	if len(words) == 0 || strings.HasPrefix(words[0], ":") || strings.HasPrefix(words[0], "#") {
		return nil
	}
	args := withoutFlags(words[1:])
	switch words[0] {
	case "echo":
		s.m.say(strings.Join(words[1:], " "))
		return nil
	case "imgfree":
		s.kernel, s.initrd = "", ""
		return nil
	case "set":
		name, _, _ := strings.Cut(args[0], ":")
		s.vars[name] = strings.Join(args[1:], " ")
		return nil
	case "inc":
		n, _ := strconv.Atoi(s.vars[args[0]])
		s.vars[args[0]] = strconv.Itoa(n + 1)
		return nil
	case "isset":
		return truth(len(args) > 0)
	case "iseq":
		return truth(len(args) == 2 && args[0] == args[1])
	case "goto":
		return s.jump(args[0])
	case "sleep":
		n, err := strconv.Atoi(args[0])
		if err != nil || !s.m.wait(ctx, time.Duration(n)*time.Second) {
			return errors.New("interrupted")
		}
		return nil
	default:
		return s.boot(ctx, words[0], args)
	}
}

func (s *script) boot(ctx context.Context, command string, args []string) error {
	switch command {
	case "dhcp":
		_, err := s.m.dhcp(ctx, true)
		s.vars["netX/ip"] = s.m.addr.String()
		return falseIf(err)
	case "chain":
		// Whether it is there shows before the running script is given up.
		text, err := s.m.fetch(ctx, args[0])
		if err != nil {
			return errFalse
		}
		return &chainTo{uri: args[0], text: text}
	case "kernel":
		err := s.m.download(ctx, args[0], io.Discard)
		s.kernel, s.args = args[0], args[1:]
		return falseIf(err)
	case "initrd":
		err := s.m.download(ctx, args[0], io.Discard)
		s.initrd = args[0]
		return falseIf(err)
	case "boot":
		if s.kernel == "" || s.initrd == "" {
			return errFalse
		}
		return s.m.install(ctx, s.args)
	case "exit", "sanboot":
		return errLocal
	default:
		return fmt.Errorf("the simulated iPXE has no command %q", command)
	}
}

func (s *script) jump(label string) error {
	for i, l := range s.lines {
		if strings.TrimSpace(l) == ":"+label {
			s.next = i
			return nil
		}
	}
	return fmt.Errorf("no label %q", label)
}

func truth(yes bool) error {
	if yes {
		return nil
	}
	return errFalse
}

func falseIf(err error) error {
	if err != nil {
		return errFalse
	}
	return nil
}

// withoutFlags drops --replace, and --name with its value.
func withoutFlags(words []string) []string {
	var out []string
	for i := 0; i < len(words); i++ {
		switch {
		case words[i] == "--name":
			i++
		case !strings.HasPrefix(words[i], "--"):
			out = append(out, words[i])
		}
	}
	return out
}
