package queue

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// claimed is a queued transaction as its driver read it.
type claimed struct {
	id        uuid.UUID
	version   int
	request   Request // without tenant, key and reference
	expired   bool
	substatus string
}

// scanClaimed reads a claimed transaction, behind what goes into first.
func scanClaimed(row pgx.CollectableRow, first ...any) (claimed, error) {
	var c claimed
	var r requestColumns
	var expired *bool
	var substatus *string
	err := row.Scan(append(first, &c.id, &c.version, &r.recipient, &r.value, &c.request.Data, &r.gas, &r.fees, &r.accessList, &r.nonce, &r.authorizations, &expired, &substatus)...)
	if err != nil {
		return c, err
	}
	c.expired, c.substatus = deref(expired), deref(substatus)
	return c, r.fill(&c.request)
}

// requestColumns are the columns of a request that need some reading.
type requestColumns struct {
	recipient                        []byte
	value                            string
	gas, nonce                       *int64
	fees, accessList, authorizations []byte // JSON, nil for none
}

func (c requestColumns) fill(r *Request) error {
	if c.recipient != nil {
		to := common.BytesToAddress(c.recipient)
		r.To = &to
	}
	r.Value, _ = new(big.Int).SetString(c.value, 10)
	r.Gas = uint64(deref(c.gas))
	if c.nonce != nil {
		n := uint64(*c.nonce)
		r.Nonce = &n
	}
	for _, column := range []struct {
		text []byte
		into any
		name string
	}{{c.fees, &r.Fees, "fees"}, {c.accessList, &r.AccessList, "access list"}, {c.authorizations, &r.Authorizations, "authorizations"}} {
		if column.text == nil {
			continue
		}
		if err := json.Unmarshal(column.text, column.into); err != nil {
			return fmt.Errorf("read %s: %w", column.name, err)
		}
	}
	return nil
}

func scanTransaction(row pgx.CollectableRow) (Transaction, error) {
	var t Transaction
	var chainID int64
	var sender, reason, hash []byte
	var status string
	var nonce *int64
	var q requestColumns
	var key, reference, substatus *string
	var notAfter *time.Time
	var r receiptColumns
	err := row.Scan(&t.ID, &t.Seq, &t.Request.Tenant, &chainID, &sender, &q.recipient, &q.value, &t.Request.Data, &q.gas, &q.fees, &q.accessList, &q.nonce, &q.authorizations, &key, &reference, &notAfter,
		&status, &substatus, &t.CreatedAt, &t.UpdatedAt, &reason, &nonce, &hash,
		&r.hash, &r.block, &r.blockHash, &r.status, &r.gas, &r.price, &r.contract, &r.final)
	if err != nil {
		return t, err
	}
	t.ChainID, t.Status, t.Substatus = uint64(chainID), Status(status), deref(substatus)
	t.Request.Sender = common.BytesToAddress(sender)
	t.Request.IdempotencyKey, t.Request.Reference, t.Request.NotAfter = deref(key), deref(reference), deref(notAfter)
	if nonce != nil {
		n := uint64(*nonce)
		t.Nonce = &n
	}
	if hash != nil {
		h := common.BytesToHash(hash)
		t.Hash = &h
	}
	if reason != nil {
		t.Error = &Reason{}
		if err := json.Unmarshal(reason, t.Error); err != nil {
			return t, fmt.Errorf("read reason: %w", err)
		}
	}
	t.Receipt = r.receipt()
	return t, q.fill(&t.Request)
}

type receiptColumns struct {
	hash, blockHash, contract []byte
	block, gas                *int64
	status                    *int16
	price                     *string
	final                     *bool
}

func (c receiptColumns) receipt() *Receipt {
	if c.hash == nil {
		return nil
	}
	r := &Receipt{
		Hash: common.BytesToHash(c.hash), BlockNumber: uint64(deref(c.block)), BlockHash: common.BytesToHash(c.blockHash),
		Success: deref(c.status) == 1, GasUsed: uint64(deref(c.gas)), Final: deref(c.final),
	}
	if c.price != nil {
		r.EffectiveGasPrice, _ = new(big.Int).SetString(*c.price, 10)
	}
	if c.contract != nil {
		a := common.BytesToAddress(c.contract)
		r.Contract = &a
	}
	return r
}

func addressBytes(list []common.Address) [][]byte {
	out := make([][]byte, len(list))
	for i := range list {
		out[i] = list[i][:]
	}
	return out
}

func textOrNull(v *big.Int) *string {
	if v == nil {
		return nil
	}
	text := v.String()
	return &text
}

func addressOrNull(a *common.Address) []byte {
	if a == nil {
		return nil
	}
	return a[:]
}

// nullIfZero turns a zero value into SQL's null.
func nullIfZero[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

func jsonOrNull(v any, isNull bool) []byte {
	if isNull {
		return nil
	}
	return mustJSON(v)
}

// mustJSON marshals our own plain structs, which cannot fail.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		return []byte(strconv.Quote("unmarshallable"))
	}
	return b
}
