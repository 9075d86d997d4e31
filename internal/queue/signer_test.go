package queue

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/signing"
)

// troubled is a key whose service can be in trouble.
type troubled struct {
	signing.Signer
	trouble atomic.Pointer[error]
	every   int64 // only every so many signatures fail; 0 is all
	asked   atomic.Int64
}

func (s *troubled) Sign(ctx context.Context, digest [32]byte) (signing.Signature, error) {
	n := s.asked.Add(1)
	if trouble := s.trouble.Load(); trouble != nil && (s.every == 0 || n%s.every == 0) {
		return signing.Signature{}, *trouble
	}
	return s.Signer.Sign(ctx, digest)
}

func (b *bundle) trouble(err error) *troubled {
	key := &troubled{Signer: b.keys.Signers()[0]}
	key.trouble.Store(&err)
	b.keys = signing.NewKeyring(append([]signing.Signer{key}, b.keys.Signers()[1:]...)...)
	return key
}

func TestQueue_AKeyThatWillNotSignPausesItsSenderOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := b.trouble(&signing.PermanentError{Key: "k", Reason: "the key is disabled"})
	q, _ := b.start(t)
	waits, other := b.enqueue(t, q, 0, "waits"), b.enqueue(t, q, 1, "goes on")
	until(t, q, other, hasStatus(StatusConfirmed))
	until(t, q, waits, func(Transaction) bool {
		s, err := q.Sender(t.Context(), key.Address())
		return err == nil && s.State == SenderPaused && s.Reason == "signer refused: k: the key is disabled"
	})
	key.trouble.Store(nil)
	require.NoError(t, q.SetSenderState(t.Context(), key.Address(), SenderActive, ""))
	until(t, q, waits, hasStatus(StatusConfirmed))
}

func TestQueue_AKeyServiceThatIsAwayIsWaitedFor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := b.trouble(&signing.UnavailableError{Key: "k", Reason: "sealed"})
	q, _ := b.start(t)
	id := b.enqueue(t, q, 0, "x")
	until(t, q, id, func(now Transaction) bool { return now.Status == StatusQueued && now.Substatus == WaitingForSigner })
	key.trouble.Store(nil)
	until(t, q, id, hasStatus(StatusConfirmed))
}

// Signatures that fail in the middle of a batch leave no gap and no other order.
func TestQueue_SignaturesThatFailInTheMiddle(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := b.trouble(&signing.UnavailableError{Key: "k", Reason: "throttled"})
	key.every = 7
	q := b.queue(t)
	ids := make([]uuid.UUID, 20)
	for i := range ids {
		ids[i] = b.enqueue(t, q, 0, uuid.NewString())
	}
	b.run(t, q)
	for i, id := range ids {
		confirmed := until(t, q, id, hasStatus(StatusConfirmed))
		require.EqualValues(t, i, *confirmed.Nonce)
	}
}
