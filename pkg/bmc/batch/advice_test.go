package batch

import (
	"fmt"
	"testing"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// TestAdvice: what is more special has its own next step.
func TestAdvice(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{bmc.ErrUnsupported, "try the other protocol with --protocol"},
		{bmc.ErrNoDrive, "insert the medium in the BMC's own pages, or boot from the network"},
		{&Failure{Err: bmc.ErrUnsupported, Fix: "look"}, "look"},
		{bmc.ErrNoTLS, "give its address as http://HOST:PORT, if nobody else can read its password on the way"},
	} {
		if got := advice(fmt.Errorf("in the middle of it: %w", tt.err)); got != tt.want {
			t.Errorf("%v: %s", tt.err, got)
		}
	}
}
