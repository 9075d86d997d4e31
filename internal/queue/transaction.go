package queue

import (
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/google/uuid"
)

// Request is what a caller asks to be executed.
type Request struct {
	Tenant string
	Sender common.Address
	To     *common.Address // nil: contract creation
	Value  *big.Int        // wei; nil means 0
	Data   []byte
	Gas    uint64 // 0: estimated
	Fees   Fees
	// AccessList that is not nil, even without an entry, makes a transaction with a
	// gas price one of type 0x1 (EIP-2930).
	AccessList types.AccessList
	// Authorizations make it a set-code transaction (EIP-7702), which needs To
	// and a network after Prague.
	Authorizations []types.SetCodeAuthorization
	// Nonce, when it is not nil, must be the sender's next: otherwise the
	// transaction is rejected. Nonces are given out here all the same.
	Nonce          *uint64
	IdempotencyKey string // "" for none; at most MaxIdempotencyKey bytes
	Reference      string // the caller's own name for it, not unique
	NotAfter       time.Time
	RedriveOf      *uuid.UUID // the transaction that is tried once more
	// Batch is the place in a list that has one idempotency key, and the length of
	// the list: "0/3". A list of another length is another request.
	Batch string
	// IsProven says that the account's user has shown a verification, or that
	// nobody needs to. Otherwise it is accepted only while the account has none.
	IsProven bool
	// ABI are custom errors and events of the contract, as signatures, that may explain
	// a revert or a log. They are no part of what is asked.
	ABI []string
}

// MaxIdempotencyKey is the longest idempotency key, in bytes.
const MaxIdempotencyKey = 128

// DefaultTenant owns what is asked without a tenant.
const DefaultTenant = "default"

// Fees are the prices of a transaction, in wei per gas. All nil: the fee policy
// chooses. Either GasPrice is set, or the other two are.
type Fees struct {
	GasPrice *big.Int `json:"gasPrice,omitempty"`
	MaxFee   *big.Int `json:"maxFeePerGas,omitempty"`
	MaxTip   *big.Int `json:"maxPriorityFeePerGas,omitempty"`
	// IsGasPrice has the fee policy choose a GasPrice where it would choose the other
	// two: for who asks for type 0x0 or 0x1 and leaves the price to the policy.
	IsGasPrice bool `json:"isGasPrice,omitempty"`
}

// IsZero says whether the fee policy has to choose.
func (f Fees) IsZero() bool { return f.GasPrice == nil && f.MaxFee == nil && f.MaxTip == nil }

// Status is where a transaction stands; see transition.go.
type Status string

// The statuses, in the order of a transaction's life.
const (
	StatusQueued    Status = "queued"
	StatusSuspended Status = "suspended"
	StatusSigned    Status = "signed"
	StatusSubmitted Status = "submitted"
	StatusMined     Status = "mined"
	StatusConfirmed Status = "confirmed"
	StatusReverted  Status = "reverted"
	StatusRejected  Status = "rejected"
	StatusCancelled Status = "cancelled"
	StatusExpired   Status = "expired"
	StatusFailed    Status = "failed"
)

// Transaction is a request with everything that became of it.
type Transaction struct {
	ID        uuid.UUID
	Seq       int64 // order of acceptance
	ChainID   uint64
	Request   Request
	Status    Status
	Substatus string // why it waits, "" when it does not
	CreatedAt time.Time
	UpdatedAt time.Time
	Nonce     *uint64      // nil while there is no slot
	Hash      *common.Hash // of the newest attempt, nil while there is none
	Error     *Reason      // set when rejected or failed
	Receipt   *Receipt     // set once mined
}

// Reason says in a stable code and in words why a transaction ended without
// having been executed.
type Reason struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	// Data is the revert data of a simulation, as 0x hex; "" for none.
	Data string `json:"data,omitempty"`
}

// Codes of Reason.
const (
	ReasonReverted          = "execution_reverted"
	ReasonInsufficientFunds = "insufficient_funds"
	ReasonGasLimit          = "gas_above_block_limit"
	ReasonPreparation       = "preparation_failed"
	ReasonSigning           = "signing_failed"
	ReasonNonceTaken        = "nonce_consumed_externally"
	ReasonNonce             = "nonce_mismatch"
	ReasonUnsupported       = "transaction_type_not_supported"
)

// Substatuses of a waiting transaction.
const (
	WaitingForNode    = "node_unreachable"
	WaitingForEarlier = "waiting_for_earlier"
	WaitingForFunds   = "waiting_funds"
	WaitingForSigner  = "signer_unavailable"
	WaitingRefused    = "refused_by_node"
	WaitingPrice      = "underpriced"
	WaitingAtCap      = "underpriced_at_cap"
	Cancelling        = "cancelling"
)

// Receipt is what the chain says of a transaction.
type Receipt struct {
	Hash              common.Hash
	BlockNumber       uint64
	BlockHash         common.Hash
	Success           bool
	GasUsed           uint64
	EffectiveGasPrice *big.Int        // nil where the node did not say
	Contract          *common.Address // the created contract
	Final             bool            // past the configured confirmations
}
