package subscriptions

import (
	"fmt"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"
)

// A node that has not the block answers with no logs, or with those it has. That
// must not be taken for a header whose filter means nothing.
func TestParseLogs_TellsTooFewFromABloomThatMeansNothing(t *testing.T) {
	t.Parallel()
	b := &block{hash: common.HexToHash("0x01"), bloom: &bloom{}}
	mine, other, third := common.HexToAddress("0x0a"), common.HexToAddress("0x0b"), common.HexToAddress("0x0c")
	b.bloom.add(mine[:])
	b.bloom.add(other[:])
	log := func(index int, address common.Address) string {
		return fmt.Sprintf(`{"blockHash":%q,"logIndex":"0x%x","address":%q,"topics":[]}`, b.hash, index, address)
	}
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"all":            {"[" + log(0, mine) + "," + log(1, other) + "]", nil},
		"none":           {"[]", errTooFew},
		"the first":      {"[" + log(0, mine) + "]", errTooFew},
		"without a rank": {"[" + log(1, other) + "]", errIncomplete},
		"of another":     {"[" + log(0, third) + "]", errBloom},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parseLogs([]byte(c.text), b)
			require.ErrorIs(t, err, c.want)
		})
	}
}
