package sealed

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestBox_OpensOnlyForItsOwnerAndKey(t *testing.T) {
	t.Parallel()
	box, err := New(make([]byte, KeySize))
	require.NoError(t, err)
	owner := uuid.New()

	text := box.Seal(owner, []byte("hunter2"))

	require.NotContains(t, string(text), "hunter2")
	require.NotEqual(t, text, box.Seal(owner, []byte("hunter2")), "the nonce is fresh each time")
	plain, err := box.Open(owner, text)
	require.NoError(t, err)
	require.Equal(t, "hunter2", string(plain))
	_, err = box.Open(uuid.New(), text)
	require.ErrorIs(t, err, ErrOpen)
	text[len(text)-1] ^= 1
	_, err = box.Open(owner, text)
	require.ErrorIs(t, err, ErrOpen)
	_, err = box.Open(owner, nil)
	require.ErrorIs(t, err, ErrOpen)
	otherKey, err := DeriveKey([]byte("another secret"), "tests")
	require.NoError(t, err)
	other, err := New(otherKey)
	require.NoError(t, err)
	_, err = other.Open(owner, box.Seal(owner, []byte("x")))
	require.ErrorIs(t, err, ErrOpen)
	_, err = New([]byte("short"))
	require.ErrorContains(t, err, "has 5 bytes")
}

func TestDeriveKey_DependsOnThePurpose(t *testing.T) {
	t.Parallel()
	a, err := DeriveKey([]byte("phrase"), "a")
	require.NoError(t, err)
	b, err := DeriveKey([]byte("phrase"), "b")
	require.NoError(t, err)
	require.Len(t, a, KeySize)
	require.NotEqual(t, a, b)
}
