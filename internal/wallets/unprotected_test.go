package wallets

import (
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"
)

func TestUnprotected_ForgetsInTime(t *testing.T) {
	t.Parallel()
	var u unprotected
	a, now := common.HexToAddress("0x0a"), time.Now()
	isOpen, change := u.has(a, now)
	require.False(t, isOpen)
	u.note(a, now, change)
	isOpen, _ = u.has(a, now.Add(unprotectedFor-1))
	require.True(t, isOpen)
	isOpen, _ = u.has(a, now.Add(unprotectedFor))
	require.False(t, isOpen)

	u.note(a, now, change)
	u.forget() // a verification was added
	isOpen, _ = u.has(a, now)
	require.False(t, isOpen)
	u.note(a, now, change) // an answer from before
	isOpen, _ = u.has(a, now)
	require.False(t, isOpen)
}

func TestUnprotected_IsBounded(t *testing.T) {
	t.Parallel()
	var u unprotected
	for i := range 3 * maxUnprotected {
		u.note(common.BytesToAddress([]byte{byte(i), byte(i >> 8), byte(i >> 16)}), time.Now(), 0)
		require.LessOrEqual(t, len(u.until), maxUnprotected)
	}
}
