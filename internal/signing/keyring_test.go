package signing

import (
	"context"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"
)

type named byte

func (n named) Address() common.Address { return common.Address{byte(n)} }

func (n named) Ref() KeyRef { return KeyRef([]byte{byte(n)}) }

func (n named) Sign(context.Context, [32]byte) (Signature, error) { return Signature{byte(n)}, nil }

func TestKeyring_ChangesWhileOthersSign(t *testing.T) {
	t.Parallel()
	k := NewKeyring(named(9))

	var group sync.WaitGroup
	for i := range byte(8) {
		group.Go(func() {
			require.Equal(t, 1, k.Add(named(i)))
			require.Zero(t, k.Add(named(i)), "an address keeps its signer")
			s, err := k.Signer(common.Address{i})
			require.NoError(t, err)
			require.Equal(t, named(i), s)
			require.NotEmpty(t, k.Signers())
		})
	}
	group.Wait()

	signers := k.Signers()
	require.Len(t, signers, 9)
	require.Equal(t, []Signer{named(0), named(1)}, signers[:2], "sorted by address")
}

func TestKeyring_DisabledStaysDisabled(t *testing.T) {
	t.Parallel()
	k := NewKeyring(named(1), named(2))

	k.Disable(common.Address{1})
	k.Disable(common.Address{3}) // not there yet
	k.Add(named(1), named(3))

	for _, id := range []byte{1, 3} {
		_, err := k.Signer(common.Address{id})
		require.ErrorIs(t, err, ErrDisabledSigner)
	}
	_, err := k.Signer(common.Address{4})
	require.ErrorIs(t, err, ErrUnknownSigner)
	require.Equal(t, []Signer{named(2)}, k.Signers())

	k.Enable(common.Address{1})
	require.Equal(t, []Signer{named(1), named(2)}, k.Signers())
}
