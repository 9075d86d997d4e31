package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"

	"github.com/ethereum/go-ethereum/signer/core/apitypes"

	"github.com/slipwayhq/slipway/internal/policy"
)

// maxTypedDataDetail bounds how much of a document an error repeats.
const maxTypedDataDetail = 200

// typedDataHash computes the digest of an EIP-712 document from the whole of
// it, and what policies see of it. A document for another chain is refused.
func typedDataHash(document []byte, chainID uint64) (digest []byte, asked policy.Request, err error) {
	defer func() {
		if recover() != nil { // the library is not made for hostile documents
			digest, err = nil, invalid("typed data: the document is malformed")
		}
	}()
	typed, err := decodeTypedData(document)
	if err != nil {
		return nil, asked, err
	}
	if id := (*big.Int)(typed.Domain.ChainId); id != nil && (!id.IsUint64() || id.Uint64() != chainID) {
		return nil, asked, invalid(fmt.Sprintf("typed data: domain.chainId does not match the chain (have=%s, want=%d)", id, chainID))
	}
	digest, _, err = apitypes.TypedDataAndHash(typed)
	if err != nil {
		detail := strings.ToValidUTF8(err.Error(), "")
		return nil, asked, invalid("typed data: " + detail[:min(len(detail), maxTypedDataDetail)])
	}
	return digest, typedDataRequest(typed), nil
}

func typedDataRequest(typed apitypes.TypedData) policy.Request {
	d := policy.Domain{Name: typed.Domain.Name, Version: typed.Domain.Version, VerifyingContract: typed.Domain.VerifyingContract}
	if id := (*big.Int)(typed.Domain.ChainId); id != nil {
		d.ChainID = id.Uint64()
	}
	return policy.Request{Kind: policy.KindTypedData, Domain: d, PrimaryType: typed.PrimaryType}
}

func decodeTypedData(document []byte) (apitypes.TypedData, error) {
	var typed apitypes.TypedData
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	if err := d.Decode(&typed); err != nil {
		return typed, invalid("typed data: the document is not valid JSON of EIP-712")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return typed, invalid("typed data: there is text after the document")
	}
	if len(typed.Types) == 0 || typed.PrimaryType == "" || typed.Message == nil {
		return typed, invalid("typed data: needs types, primaryType, domain and message")
	}
	if _, given := typed.Types["EIP712Domain"]; !given {
		typed.Types["EIP712Domain"] = domainType(typed.Domain)
	}
	for key, value := range typed.Message {
		typed.Message[key] = exact(value)
	}
	return typed, nil
}

// exact gives numbers their whole value: as float64, integers above 2^53 would
// be signed as their neighbours.
func exact(value any) any {
	switch v := value.(type) {
	case json.Number:
		if n, ok := new(big.Int).SetString(v.String(), 10); ok {
			return n
		}
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	case map[string]any:
		for key := range v {
			v[key] = exact(v[key])
		}
	case []any:
		for i := range v {
			v[i] = exact(v[i])
		}
	}
	return value
}

// domainType is the type of a domain by what it has, in the order of EIP-712;
// many libraries leave it to the signer.
func domainType(d apitypes.TypedDataDomain) []apitypes.Type {
	var out []apitypes.Type
	add := func(has bool, name, kind string) {
		if has {
			out = append(out, apitypes.Type{Name: name, Type: kind})
		}
	}
	add(d.Name != "", "name", "string")
	add(d.Version != "", "version", "string")
	add(d.ChainId != nil, "chainId", "uint256")
	add(d.VerifyingContract != "", "verifyingContract", "address")
	add(d.Salt != "", "salt", "bytes32")
	return out
}
