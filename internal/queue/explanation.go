package queue

import (
	"context"

	"github.com/google/uuid"
)

// Explanation is what is known of why a transaction reverted.
type Explanation struct {
	// ABI are the custom errors and events that came with the request, as signatures.
	ABI []string
	// Revert is what was found out about a transaction in a block, nil while
	// nobody asked.
	Revert *RevertData
}

// RevertData is what a contract gave back when it reverted.
type RevertData struct {
	Data   []byte
	Source RevertSource
}

// RevertSource is where revert data comes from.
type RevertSource string

// The sources of revert data.
const (
	// RevertFromReceipt is the node's own record of the execution.
	RevertFromReceipt RevertSource = "receipt"
	// RevertFromReplay is the same call at the state before its block, which
	// earlier transactions of the block may have changed.
	RevertFromReplay RevertSource = "replay"
)

// Explanation reads what explains a transaction of a tenant.
func (q *Queue) Explanation(ctx context.Context, tenant string, id uuid.UUID) (Explanation, error) {
	return q.store.Explanation(ctx, tenantOf(tenant), id)
}

// NoteRevert keeps revert data of a transaction that has reverted for good.
func (q *Queue) NoteRevert(ctx context.Context, tenant string, id uuid.UUID, r RevertData) error {
	return q.store.NoteRevert(ctx, tenantOf(tenant), id, r)
}
