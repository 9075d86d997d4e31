package queue

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"math/big"
	"strconv"
	"time"
)

// Fingerprint identifies what a request asks for on a chain, as idempotency keys do: of
// two requests with one key and one fingerprint the second one is a repetition.
func (r Request) Fingerprint(chainID uint64) [32]byte {
	if r.Value == nil {
		r.Value = new(big.Int)
	}
	return r.fingerprint(chainID)
}

// fingerprint identifies what a request asks for, so that an idempotency key
// used for something else is noticed. Two spellings of one request (hex case,
// leading zeros, key order) have one fingerprint, since it is taken from the
// parsed request. The tenant and the key itself are not part of it.
func (r Request) fingerprint(chainID uint64) [32]byte {
	f := fingerprinter{sha256.New()}
	f.text("v1", strconv.FormatUint(chainID, 10), r.Sender.Hex())
	if r.To == nil {
		f.text("create")
	} else {
		f.text("call", r.To.Hex())
	}
	f.text(bigText(r.Value), string(r.Data), strconv.FormatUint(r.Gas, 10))
	f.text(bigText(r.Fees.GasPrice), bigText(r.Fees.MaxFee), bigText(r.Fees.MaxTip))
	if r.Fees.IsGasPrice {
		f.text("gas price")
	}
	if r.AccessList != nil && len(r.AccessList) == 0 {
		f.text("type 1")
	}
	for _, entry := range r.AccessList {
		f.text("access", entry.Address.Hex())
		for _, key := range entry.StorageKeys {
			f.text(key.Hex())
		}
	}
	for _, a := range r.Authorizations {
		f.text("authorization", a.ChainID.Hex(), a.Address.Hex(), strconv.FormatUint(a.Nonce, 10), strconv.Itoa(int(a.V)), a.R.Hex(), a.S.Hex())
	}
	if r.Nonce != nil {
		f.text("nonce", strconv.FormatUint(*r.Nonce, 10))
	}
	f.text("reference", r.Reference)
	if !r.NotAfter.IsZero() {
		f.text(r.NotAfter.UTC().Format(time.RFC3339Nano))
	}
	if r.Batch != "" {
		f.text("batch", r.Batch)
	}
	return [32]byte(f.h.Sum(nil))
}

// fingerprinter writes fields with their lengths, so that no two lists of
// fields run together into one text.
type fingerprinter struct{ h hash.Hash }

func (f fingerprinter) text(fields ...string) {
	for _, s := range fields {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(s)))
		f.h.Write(length[:])
		f.h.Write([]byte(s))
	}
}

func bigText(v *big.Int) string {
	if v == nil {
		return "-"
	}
	return v.String()
}
