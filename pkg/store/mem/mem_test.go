package mem_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/rackseed/rackseed/pkg/store"
	"github.com/rackseed/rackseed/pkg/store/mem"
	"github.com/rackseed/rackseed/pkg/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	storetest.Run(t, func(testing.TB) store.Log { return mem.New() }, nil)
}
