package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/slipwayhq/slipway/internal/audit"
	"github.com/slipwayhq/slipway/internal/policy"
)

// Admitter decides who may have what executed.
type Admitter interface {
	// Admit says on whose behalf and under which decision a request is accepted. It
	// is asked about every request that is to become a transaction, and names the
	// tenant even when it returns an error.
	Admit(ctx context.Context, r Request) (Admission, error)
}

// Admission is what must hold for a request to be accepted.
type Admission struct {
	// Tenant on whose behalf it is.
	Tenant string
	// Submitter is who asked, as policies name callers.
	Submitter string
	// Decision is stored with the transaction; nil where there is no policy.
	Decision *policy.Decision
	// Audit is written with the acceptance; its Object is filled in.
	Audit audit.Entry
}

// charges are what the request adds to windows.
func (a Admission) charges() []policy.Charge {
	if a.Decision == nil {
		return nil
	}
	return a.Decision.Charges
}

func (a Admission) waits() bool { return a.Decision != nil && a.Decision.Waits() }

// NeedsApproval is the substatus of a suspended transaction that people have to
// agree to, ApprovalRejected that of one they did not.
const (
	NeedsApproval    = "needs_approval"
	ApprovalRejected = "approval_rejected"
)

// Errors of approvers.
var (
	// ErrOwnApproval says that nobody approves what he submitted himself.
	ErrOwnApproval = errors.New("who submitted a transaction cannot approve it")
	// ErrNotApprover says that the rules name other approvers.
	ErrNotApprover = errors.New("the rules name other approvers for this transaction")
)

// Vote is what an approver says.
type Vote struct {
	Approver string // as policies name callers
	Approves bool
	Reason   string
	// Audit is written with the vote; its Object is filled in.
	Audit audit.Entry
}

// Pending is a transaction that people have to agree to.
type Pending struct {
	Transaction
	Submitter string
	Needs     []policy.Approval
	Votes     []CastVote
}

// CastVote is a vote that was given.
type CastVote struct {
	Approver string    `json:"approver"`
	Approves bool      `json:"approves"`
	Reason   string    `json:"reason,omitempty"`
	At       time.Time `json:"at"`
}

// Pending lists the transactions of a tenant that wait for approval, newest
// first, older than the one with the number before (0: all).
func (q *Queue) Pending(ctx context.Context, tenant string, before int64, limit int) ([]Pending, error) {
	return q.store.Pending(ctx, tenantOf(tenant), before, limit)
}

// Vote notes what an approver says of a transaction that waits for approval. With
// enough who agree it becomes queued; one who does not ends it as cancelled. It
// returns ErrNotFound, ErrWrongStatus, ErrOwnApproval or ErrNotApprover.
func (q *Queue) Vote(ctx context.Context, tenant string, id uuid.UUID, v Vote) (Transaction, error) {
	if err := q.store.Vote(ctx, tenantOf(tenant), id, v); err != nil {
		return Transaction{}, err
	}
	t, err := q.Get(ctx, tenant, id)
	if err != nil {
		return t, err
	}
	q.keeper.wake(t.Request.Sender)
	q.waiters.tell(id, notice{})
	return t, nil
}

// Decision reads what the policy decided about a transaction; null where there
// was none.
func (q *Queue) Decision(ctx context.Context, tenant string, id uuid.UUID) (json.RawMessage, error) {
	return q.store.Decision(ctx, tenantOf(tenant), id)
}

// Charge adds to windows what is signed without becoming a transaction. It
// returns *policy.LimitError or *policy.DeniedError, and has added nothing then.
func (q *Queue) Charge(ctx context.Context, d policy.Decision) error {
	if len(d.Charges) == 0 {
		return nil
	}
	return q.store.Charge(ctx, d)
}

// noteRefused writes down that a window was full.
func (q *Queue) noteRefused(ctx context.Context, e *entry, err error) error {
	if !isOverLimit(err) {
		return err
	}
	note := e.admission.Audit
	note.Decision = string(policy.Denied)
	if note.Detail == nil {
		note.Detail = map[string]any{}
	}
	note.Detail["why"] = err.Error()
	if auditErr := q.store.audit.Record(ctx, note); auditErr != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, auditErr)
	}
	return err
}

func isOverLimit(err error) bool {
	var full *policy.LimitError
	var denied *policy.DeniedError
	return errors.As(err, &full) || errors.As(err, &denied)
}
