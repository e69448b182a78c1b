package ipmi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/bougou/go-ipmi/pkg/client"
	"github.com/bougou/go-ipmi/pkg/command/transport"
	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// solInstance is the only payload instance that BMCs have (section 24.1).
const solInstance = 1

// console is Serial over LAN on the driver's session, which has it to itself
// until Close: other calls wait. The polls that fetch its output also keep the
// session alive.
type console struct {
	driver *driver
	stop   context.CancelFunc
	done   chan struct{} // closed when the stream has ended

	input  *io.PipeWriter
	output *io.PipeReader

	once sync.Once
}

// Console activates Serial over LAN. A console that somebody else has open is
// taken over, as it is most often one whose user is gone.
func (d *driver) Console(ctx context.Context) (io.ReadWriteCloser, error) {
	if err := d.take(ctx); err != nil {
		return nil, err
	}
	s := d.session
	if err := s.activate(ctx, d.options.Shy); err != nil {
		d.give()
		return nil, fmt.Errorf("activating serial over LAN: %w", err)
	}
	inReader, inWriter := io.Pipe()
	outReader, outWriter := io.Pipe()
	streaming, stop := context.WithCancel(context.WithoutCancel(ctx))
	c := &console{driver: d, stop: stop, done: make(chan struct{}), input: inWriter, output: outReader}
	d.setOpen(c)
	s.client.WithRetry(s.pace.tries - 1)
	go func() {
		defer close(c.done)
		err := s.client.SOLStream(streaming, inReader, outWriter, &client.SOLStreamOptions{PollInterval: solPoll})
		s.used = time.Now()
		if err == nil || errors.Is(err, context.Canceled) {
			err = io.EOF
		} else {
			err = s.silence(streaming, "serial over LAN", err)
		}
		_ = inReader.CloseWithError(err)
		_ = outWriter.CloseWithError(err)
	}()
	return c, nil
}

// solPoll is how often output is fetched that nobody typed for.
const solPoll = 50 * time.Millisecond

// activate takes over what is active already, unless it is shy.
func (s *session) activate(ctx context.Context, shy bool) error {
	request := &transport.ActivatePayloadRequest{PayloadType: types.PayloadTypeSOL, PayloadInstance: solInstance,
		EnableEncryption: true, EnableAuthentication: true}
	var err error
	for range 2 {
		var got transport.ActivatePayloadResponse
		err = s.do(ctx, request, &got)
		code, coded := completion(err)
		if err == nil || !coded {
			return err
		}
		switch code {
		case types.CodeActivatePayloadAlreadyActive, types.CodeActivatePayloadActivationLimitReached:
			if shy {
				return fmt.Errorf("%w: somebody else has the console", bmc.ErrBusy)
			}
			s.deactivate(ctx)
		case types.CodeActivatePayloadTypeDisabled:
			return fmt.Errorf("%w: it is switched off in the BMC's settings", bmc.ErrUnsupported)
		default:
			return err
		}
	}
	return fmt.Errorf("somebody else has it and keeps it: %w", err)
}

func (s *session) deactivate(ctx context.Context) {
	_ = s.do(ctx, &transport.DeactivatePayloadRequest{PayloadType: types.PayloadTypeSOL, PayloadInstance: solInstance},
		&transport.DeactivatePayloadResponse{})
}

// Read gives what the machine says, and io.EOF after Close.
func (c *console) Read(p []byte) (int, error) { return c.output.Read(p) }

// Write types. It returns when the BMC has taken all.
func (c *console) Write(p []byte) (int, error) { return c.input.Write(p) }

// Close deactivates Serial over LAN and gives the session back.
func (c *console) Close() error {
	c.once.Do(func() {
		_ = c.input.Close()
		_ = c.output.Close()
		// The stream sees the end of its input at once unless the BMC is
		// silent.
		timer := time.NewTimer(goodbye)
		defer timer.Stop()
		select {
		case <-c.done:
		case <-timer.C:
		}
		c.stop()
		<-c.done
		ctx, cancel := context.WithTimeout(context.Background(), 2*goodbye)
		defer cancel()
		c.driver.session.deactivate(ctx)
		c.driver.setOpen(nil)
		c.driver.give()
	})
	return nil
}
