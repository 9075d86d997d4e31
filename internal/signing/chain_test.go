package signing

import (
	"context"
	"errors"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"
)

type fixedSigner struct{ Signer }

func (fixedSigner) Address() common.Address { return common.Address{1} }

func (fixedSigner) Sign(context.Context, [32]byte) (Signature, error) { return Signature{}, nil }

type brokenKeys struct{ err error }

func (k brokenKeys) Signer(common.Address) (Signer, error) { return nil, k.err }

func (brokenKeys) Signers() []Signer { return nil }

func TestChain(t *testing.T) {
	t.Parallel()
	away := errors.New("away")
	ring := NewKeyring(fixedSigner{})

	s, err := Chain{brokenKeys{ErrUnknownSigner}, ring, brokenKeys{away}}.Signer(common.Address{1})
	require.NoError(t, err)
	require.Equal(t, fixedSigner{}, s)
	_, err = Chain{ring}.Signer(common.Address{2})
	require.ErrorIs(t, err, ErrUnknownSigner)
	_, err = Chain{ring, brokenKeys{away}}.Signer(common.Address{2})
	require.ErrorIs(t, err, away, "an account may be behind it")
	require.Len(t, Chain{brokenKeys{}, ring}.Signers(), 1)
}
