package ipmi

import (
	"context"
	"net"
	"testing"
	"time"

	goipmi "github.com/bougou/go-ipmi/pkg/bmc"
	"github.com/bougou/go-ipmi/pkg/hal/mock"
	"github.com/bougou/go-ipmi/pkg/handlers"
	"github.com/bougou/go-ipmi/pkg/server"
	"github.com/bougou/go-ipmi/pkg/transport/udp"
	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/bmc/recipe"
	"github.com/rackseed/rackseed/pkg/site"
)

const (
	testUser     = "ADMIN"
	testPassword = "correct-horse-17!!!!" // 20 bytes
)

// peer is a BMC by go-ipmi's own server.
type peer struct {
	*goipmi.BMC
	hal     *mock.HAL
	address string
}

// startPeer runs a BMC in this process that takes the given cipher suites.
func startPeer(t *testing.T, suites ...types.CipherSuiteID) *peer {
	t.Helper()
	return startConsolePeer(t, nil, suites...)
}

// startConsolePeer runs one whose machine has a serial port.
func startConsolePeer(t *testing.T, port *mock.FakeConsoleConn, suites ...types.CipherSuiteID) *peer {
	t.Helper()
	return startServer(t, port, goipmi.PrivilegeLevelAdministrator, handlers.NewRegistry(), suites...)
}

// startServer runs one whose user has a privilege level, and which has
// commands of its own before the standard's.
func startServer(t *testing.T, port *mock.FakeConsoleConn, level goipmi.PrivilegeLevel, own *handlers.Registry, suites ...types.CipherSuiteID) *peer {
	t.Helper()
	h := mock.New()
	if port != nil {
		h.SetConsole(&mock.Console{Conn: port})
	}
	info := goipmi.DeviceInfo{IPMIVersion: 0x20, FirmwareMajor: 3, FirmwareMinor: 0x41, ManufacturerID: types.OEM_SUPERMICRO}
	b := goipmi.New(info, [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, h, goipmi.WithCipherSuites(suites))
	user, err := b.Users.Add(2, testUser)
	if err != nil {
		t.Fatal(err)
	}
	user.SetPassword([]byte(testPassword))
	user.Enabled = true
	user.ChannelAccess[1] = goipmi.UserChannelAccess{MaxPrivilege: level, Enabled: true}

	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	commands := handlers.NewRegistry()
	handlers.RegisterAllHandlers(commands)
	commands.Merge(own)
	s := server.NewServer(b, udp.Wrap(conn), server.WithHandlerRegistry(commands))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		_ = s.Close()
		_ = conn.Close()
		<-done
	})
	return &peer{BMC: b, hal: h, address: conn.LocalAddr().String()}
}

func (p *peer) target() bmc.Target {
	return bmc.Target{Address: p.address, Username: testUser, Password: testPassword}
}

// quick is patient enough for loopback.
func quick() Options {
	return Options{Timeout: 300 * time.Millisecond, Tries: 3, Recipes: &recipe.Book{}}
}

func dial(t *testing.T, target bmc.Target, o Options) bmc.Driver {
	t.Helper()
	d, err := Dial(t.Context(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(context.Background()) })
	return d
}

func secret(s string) site.Secret { return site.Secret(s) }
