package signerapp

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLoadWallets_NoneWithoutAMnemonic(t *testing.T) {
	t.Parallel()

	open, err := loadWallets(Config{})
	require.NoError(t, err)
	users, err := open(nil, nil)
	require.NoError(t, err)
	require.Nil(t, users)
}
