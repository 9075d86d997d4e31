package owners_test

import (
	"context"
	"errors"
	"math/big"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/owners"
)

func TestCache_AsksOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		owned, own, stranger := common.Address{1}, common.Address{2}, common.Address{3}
		database := map[common.Address]string{owned: "bank"}
		var asked []common.Address
		c := owners.Cache{
			Find: func(_ context.Context, addresses []common.Address) (map[common.Address]string, error) {
				asked = append(asked, addresses...)
				return database, nil
			},
			IsAccount: func(a common.Address) bool { return a == own },
		}
		ask := func() map[common.Address]string {
			asked = nil
			out, err := c.Of(t.Context(), owned, own, stranger)
			require.NoError(t, err)
			return out
		}
		require.Equal(t, map[common.Address]string{owned: "bank"}, ask())
		require.Equal(t, []common.Address{owned, own, stranger}, asked)

		database[stranger] = "fund"
		require.Equal(t, map[common.Address]string{owned: "bank", stranger: "fund"}, ask(), "another replica gave it an owner")
		require.Equal(t, []common.Address{stranger}, asked)

		<-time.After(5 * time.Second)
		ask()
		require.Equal(t, []common.Address{own}, asked, "an account may get an owner too")
	})
}

func TestCache_IsBounded(t *testing.T) {
	t.Parallel()
	var asked int
	c := owners.Cache{
		Find: func(_ context.Context, addresses []common.Address) (map[common.Address]string, error) {
			asked += len(addresses)
			out := make(map[common.Address]string)
			for _, a := range addresses {
				out[a] = "bank"
			}
			return out, nil
		},
	}
	const most = 20_000
	all := make([]common.Address, most+100)
	for i := range all {
		all[i] = common.BigToAddress(big.NewInt(int64(i)))
	}
	for range 2 {
		out, err := c.Of(t.Context(), all...)
		require.NoError(t, err)
		require.Len(t, out, len(all))
	}
	require.Greater(t, asked, len(all), "some were let go")
	require.Less(t, asked, len(all)+most)
}

func TestCache_AFailureIsNotRemembered(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	failing := down
	c := owners.Cache{
		Find:      func(context.Context, []common.Address) (map[common.Address]string, error) { return nil, failing },
		IsAccount: func(common.Address) bool { return true },
	}
	_, err := c.Of(t.Context(), common.Address{1})
	require.ErrorIs(t, err, down)
	failing = nil
	out, err := c.Of(t.Context(), common.Address{1})
	require.NoError(t, err)
	require.Empty(t, out)
}
