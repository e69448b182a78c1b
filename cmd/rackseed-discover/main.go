// Command rackseed-discover looks at a machine from inside. It is no tool of
// the operator's: `make` puts it into the rackseed binary, which hands it to
// machines as the init of a discovery, and to installers as a check of cables.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/rackseed/rackseed/pkg/discovery/agent"
)

// exitStop tells the installer's script that the plan stops the install.
const exitStop = 3

func main() {
	ctx := context.Background()
	switch {
	case len(os.Args) == 3 && os.Args[1] == "--check":
		err := agent.Check(ctx, os.Args[2], os.Stdout)
		if errors.Is(err, agent.ErrStop) {
			os.Exit(exitStop)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "the cables could not be checked:", err)
			os.Exit(1)
		}
	case os.Getpid() == 1:
		// An init that ends takes the kernel down with it: it boots again, by panic=30.
		if err := agent.Init(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "rackseed:", err)
		}
	default:
		fmt.Fprintln(os.Stderr, "usage: rackseed-discover --check URL; otherwise it is the init of a discovery")
		os.Exit(2)
	}
}
