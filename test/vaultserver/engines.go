package main

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"golang.org/x/crypto/sha3"
)

// ethsign serves accounts/ADDRESS and accounts/ADDRESS/sign: legacy
// transactions (EIP-155) are signed whole.
func ethsign(ctx context.Context, config *logical.BackendConfig) (logical.Backend, error) {
	fields := map[string]*framework.FieldSchema{}
	for _, name := range []string{"address", "privateKey", "to", "data", "value", "nonce", "gas", "gasPrice", "chainId"} {
		fields[name] = &framework.FieldSchema{Type: framework.TypeString}
	}
	b := &framework.Backend{BackendType: logical.TypeLogical, Paths: []*framework.Path{
		{Pattern: "accounts/?", Fields: fields, Operations: map[logical.Operation]framework.OperationHandler{
			logical.UpdateOperation: operation(createAccount), logical.ListOperation: operation(list("accounts/")),
		}},
		{Pattern: "accounts/" + framework.GenericNameRegex("address"), Fields: fields, Operations: map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation: operation(readAccount), logical.DeleteOperation: operation(deleteAccount),
		}},
		{Pattern: "accounts/" + framework.GenericNameRegex("address") + "/sign", Fields: fields, Operations: map[logical.Operation]framework.OperationHandler{
			logical.UpdateOperation: operation(signTransaction),
		}},
	}}
	return b, b.Setup(ctx, config)
}

// digest serves keys/ID and keys/ID/sign: 32 bytes are signed as they stand,
// and r and s come back (base64, the URL alphabet).
func digest(ctx context.Context, config *logical.BackendConfig) (logical.Backend, error) {
	fields := map[string]*framework.FieldSchema{}
	for _, name := range []string{"id", "private_key", "data", "curve", "signing_algorithm"} {
		fields[name] = &framework.FieldSchema{Type: framework.TypeString}
	}
	b := &framework.Backend{BackendType: logical.TypeLogical, Paths: []*framework.Path{
		{Pattern: "keys/?", Fields: fields, Operations: map[logical.Operation]framework.OperationHandler{logical.UpdateOperation: operation(createKey)}},
		{Pattern: "keys/import", Fields: fields, Operations: map[logical.Operation]framework.OperationHandler{logical.UpdateOperation: operation(importKey)}},
		{Pattern: "keys/" + framework.GenericNameRegex("id"), Fields: fields, Operations: map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation: operation(readKey), logical.DeleteOperation: operation(deleteKey),
		}},
		{Pattern: "keys/" + framework.GenericNameRegex("id") + "/sign", Fields: fields, Operations: map[logical.Operation]framework.OperationHandler{
			logical.UpdateOperation: operation(signDigest),
		}},
	}}
	return b, b.Setup(ctx, config)
}

type handler func(ctx context.Context, req *logical.Request, in func(string) string) (map[string]any, error)

func operation(h handler) framework.OperationHandler {
	return &framework.PathOperation{Callback: func(ctx context.Context, req *logical.Request, data *framework.FieldData) (*logical.Response, error) {
		out, err := h(ctx, req, func(name string) string { s, _ := data.Get(name).(string); return s })
		switch {
		case errors.Is(err, errInput):
			return logical.ErrorResponse(err.Error()), logical.ErrInvalidRequest
		case err != nil || out == nil:
			return nil, err
		}
		return &logical.Response{Data: out}, nil
	}}
}

var errInput = errors.New("invalid input")

func list(prefix string) handler {
	return func(ctx context.Context, req *logical.Request, _ func(string) string) (map[string]any, error) {
		keys, err := req.Storage.List(ctx, prefix)
		return map[string]any{"keys": keys}, err
	}
}

func store(ctx context.Context, req *logical.Request, path, keyHex string) (*secp256k1.PrivateKey, error) {
	raw, err := hex.DecodeString(keyHex)
	if err != nil || len(raw) != 32 {
		return nil, errInput
	}
	return secp256k1.PrivKeyFromBytes(raw), req.Storage.Put(ctx, &logical.StorageEntry{Key: path, Value: raw})
}

func load(ctx context.Context, req *logical.Request, path string) (*secp256k1.PrivateKey, error) {
	entry, err := req.Storage.Get(ctx, path)
	if err != nil || entry == nil {
		return nil, err
	}
	return secp256k1.PrivKeyFromBytes(entry.Value), nil
}

func keccak(b []byte) []byte {
	h := sha3.NewLegacyKeccak256()
	h.Write(b)
	return h.Sum(nil)
}

func addressOf(key *secp256k1.PrivateKey) string {
	return "0x" + hex.EncodeToString(keccak(key.PubKey().SerializeUncompressed()[1:])[12:])
}

// createAccount makes an account, or takes one over whose key is given.
func createAccount(ctx context.Context, req *logical.Request, in func(string) string) (map[string]any, error) {
	if in("privateKey") != "" {
		return importAccount(ctx, req, in)
	}
	key, err := secp256k1.GeneratePrivateKey()
	if err != nil {
		return nil, err
	}
	address := addressOf(key)
	_, err = store(ctx, req, "accounts/"+address, hex.EncodeToString(key.Serialize()))
	return map[string]any{"address": address}, err
}

func importAccount(ctx context.Context, req *logical.Request, in func(string) string) (map[string]any, error) {
	raw, err := hex.DecodeString(in("privateKey"))
	if err != nil || len(raw) != 32 {
		return nil, errInput
	}
	address := addressOf(secp256k1.PrivKeyFromBytes(raw))
	_, err = store(ctx, req, "accounts/"+address, in("privateKey"))
	return map[string]any{"address": address}, err
}

func readAccount(ctx context.Context, req *logical.Request, in func(string) string) (map[string]any, error) {
	key, err := load(ctx, req, "accounts/"+in("address"))
	if key == nil {
		return nil, err
	}
	return map[string]any{"address": addressOf(key)}, nil
}

func deleteAccount(ctx context.Context, req *logical.Request, in func(string) string) (map[string]any, error) {
	return nil, req.Storage.Delete(ctx, "accounts/"+in("address"))
}

// signTransaction signs a legacy transaction with replay protection.
func signTransaction(ctx context.Context, req *logical.Request, in func(string) string) (map[string]any, error) {
	key, err := load(ctx, req, "accounts/"+in("address"))
	if err != nil {
		return nil, err
	}
	if key == nil {
		return nil, errInput
	}
	number := func(name string) []byte {
		n, ok := new(big.Int).SetString(in(name), 0)
		if !ok {
			return nil
		}
		return n.Bytes()
	}
	octets := func(name string) []byte {
		b, err := hex.DecodeString(strings.TrimPrefix(in(name), "0x"))
		if err != nil {
			return nil
		}
		return b
	}
	chainID := new(big.Int).SetBytes(number("chainId"))
	fields := [][]byte{number("nonce"), number("gasPrice"), number("gas"), octets("to"), number("value"), octets("data")}
	hash := keccak(rlp(append(fields, chainID.Bytes(), nil, nil)))
	compact := ecdsa.SignCompact(key, hash, false) // 27+id, r, s
	v := new(big.Int).Lsh(chainID, 1)
	v.Add(v, big.NewInt(35+int64(compact[0])-27))
	signed := rlp(append(fields, v.Bytes(), strip(compact[1:33]), strip(compact[33:])))
	return map[string]any{"transaction_hash": "0x" + hex.EncodeToString(keccak(signed)), "signed_transaction": "0x" + hex.EncodeToString(signed)}, nil
}

func strip(b []byte) []byte { return new(big.Int).SetBytes(b).Bytes() }

// rlp encodes a list of strings.
func rlp(fields [][]byte) []byte {
	var out []byte
	for _, f := range fields {
		if len(f) != 1 || f[0] >= 0x80 {
			out = append(out, header(0x80, len(f))...)
		}
		out = append(out, f...)
	}
	return append(header(0xc0, len(out)), out...)
}

func header(base byte, size int) []byte {
	if size < 56 {
		return []byte{base + byte(size)}
	}
	length := big.NewInt(int64(size)).Bytes()
	return append([]byte{base + 55 + byte(len(length))}, length...)
}

// createKey makes a key, and another one in its place where there is one: a caller who
// repeats himself must look first.
func createKey(ctx context.Context, req *logical.Request, in func(string) string) (map[string]any, error) {
	if in("id") == "" || in("curve") != "secp256k1" || in("signing_algorithm") != "ecdsa" {
		return nil, errInput
	}
	key, err := secp256k1.GeneratePrivateKey()
	if err != nil {
		return nil, err
	}
	if _, err := store(ctx, req, "keys/"+in("id"), hex.EncodeToString(key.Serialize())); err != nil {
		return nil, err
	}
	return describe(in("id"), key), nil
}

func importKey(ctx context.Context, req *logical.Request, in func(string) string) (map[string]any, error) {
	raw, err := base64.URLEncoding.DecodeString(in("private_key"))
	if err != nil {
		return nil, errInput
	}
	key, err := store(ctx, req, "keys/"+in("id"), hex.EncodeToString(raw))
	if err != nil {
		return nil, err
	}
	return describe(in("id"), key), nil
}

func describe(id string, key *secp256k1.PrivateKey) map[string]any {
	return map[string]any{
		"id": id, "curve": "secp256k1", "signing_algorithm": "ecdsa",
		"public_key": base64.URLEncoding.EncodeToString(key.PubKey().SerializeUncompressed()),
	}
}

func readKey(ctx context.Context, req *logical.Request, in func(string) string) (map[string]any, error) {
	key, err := load(ctx, req, "keys/"+in("id"))
	if key == nil {
		return nil, err
	}
	return describe(in("id"), key), nil
}

func deleteKey(ctx context.Context, req *logical.Request, in func(string) string) (map[string]any, error) {
	return nil, req.Storage.Delete(ctx, "keys/"+in("id"))
}

// signDigest answers without a recovery id, and every second time with a high
// s, which ECDSA allows and Ethereum does not.
func signDigest(ctx context.Context, req *logical.Request, in func(string) string) (map[string]any, error) {
	key, err := load(ctx, req, "keys/"+in("id"))
	if err != nil {
		return nil, err
	}
	data, decodeErr := base64.URLEncoding.DecodeString(in("data"))
	if key == nil || decodeErr != nil || len(data) != 32 {
		return nil, errInput
	}
	rs := ecdsa.SignCompact(key, data, false)[1:]
	if data[0]%2 == 0 {
		var s secp256k1.ModNScalar
		s.SetByteSlice(rs[32:])
		s.Negate()
		s.PutBytesUnchecked(rs[32:])
	}
	return map[string]any{"signature": base64.URLEncoding.EncodeToString(rs)}, nil
}
