package main

import (
	"context"
	"net"

	goipmi "github.com/bougou/go-ipmi/pkg/bmc"
	"github.com/bougou/go-ipmi/pkg/hal/mock"
	"github.com/bougou/go-ipmi/pkg/server"
	"github.com/bougou/go-ipmi/pkg/transport/udp"
	"github.com/bougou/go-ipmi/pkg/types"
	"github.com/rogpeppe/go-internal/testscript"
)

// simulateIPMI is the command `ipmi` of scripts: a BMC by go-ipmi's own
// server, which speaks IPMI alone, at $IPMI. Its user is admin, its password
// rackseed.
func simulateIPMI(ts *testscript.TestScript, _ bool, _ []string) {
	b := goipmi.New(goipmi.DeviceInfo{IPMIVersion: 0x20, ManufacturerID: types.OEM_SUPERMICRO}, [16]byte{1}, mock.New(),
		goipmi.WithCipherSuites([]types.CipherSuiteID{types.CipherSuiteID17, types.CipherSuiteID3}))
	user, err := b.Users.Add(2, "admin")
	ts.Check(err)
	user.SetPassword([]byte("rackseed"))
	user.Enabled = true
	user.ChannelAccess[1] = goipmi.UserChannelAccess{MaxPrivilege: goipmi.PrivilegeLevelAdministrator, Enabled: true}
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	ts.Check(err)
	s := server.NewServer(b, udp.Wrap(conn))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(ctx)
	}()
	ts.Defer(func() {
		cancel()
		_ = s.Close()
		_ = conn.Close()
		<-done
	})
	ts.Setenv("IPMI", conn.LocalAddr().String())
}
