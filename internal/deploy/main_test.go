package deploy

import (
	"os"
	"testing"

	"github.com/slipwayhq/slipway/internal/clustertest"
)

func TestMain(m *testing.M) { os.Exit(clustertest.Main(m)) }
