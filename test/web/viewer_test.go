package web

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const (
	viewerPassword   = "the wall may look at it"
	operatorPassword = "wei turns the machines on"
	// rootHash is of a password that is nowhere used.
	rootHash = "$6$Q1w2e3r4t5y6u7i8$0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ./0123456789abcdefghijkl"
)

const twoNodes = `site: viewer
domain: example.net
access: {root: "` + rootHash + `"}
provision: {network: provision, dhcp: server}
networks: {provision: {subnet: 127.20.0.0/16, gateway: 127.20.0.1}}
images: {rocky9: {file: rocky9.iso}}
roles: {compute: {profile: base, image: rocky9, networks: {provision: nic1}}} # asked for on Friday
nodes:
  - {name: n1, role: compute, mac: "52:54:00:00:00:01", addresses: {provision: 127.20.1.1}, rack: A01, u: 1}
  - {name: n2, role: compute, mac: "52:54:00:00:00:02", addresses: {provision: 127.20.1.2}, rack: A01, u: 2}
`

// TestViewer has somebody log in who may only look, and then an operator who
// edits a role. The daemon listens on every address, as it would for a wall
// screen; the browser takes loopback.
func TestViewer(t *testing.T) {
	needs(t)
	binary, dir := build(t), t.TempDir()
	state := filepath.Join(dir, "state")
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, args := range [][]string{
		{"plan", "apply", write("site.yaml", twoNodes)},
		{"operator", "add", "wall", "--role", "viewer", "--password-file", write("viewer", viewerPassword)},
		{"operator", "add", "wei", "--role", "operator", "--password-file", write("operator", operatorPassword)},
	} {
		if out, err := exec.CommandContext(t.Context(), binary, append([]string{"--state", state}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	at, err := url.Parse(start(t, binary, "serve", "--state", state, "--interface", "ask", "--operator", "0.0.0.0:0"))
	if err != nil {
		t.Fatal(err)
	}
	page := "https://localhost:" + at.Port() + "/"
	tell(t, "viewer", page, viewerPassword, operatorPassword, rootHash)
	tell(t, "roles", page, operatorPassword)
}
