package main

import "strings"

// rpcError is the error of an answer.
type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

// translation is an error of go-ethereum and what Besu says in its place.
type translation struct {
	has  string
	code int
	says string
}

// translations are in the order in which they are looked at.
func translations() []translation {
	return []translation{
		{"already known", -32000, "Known transaction"},
		{"replacement transaction underpriced", -32000, "Replacement transaction underpriced"},
		{"nonce too low", -32001, "Nonce too low"},
		{"nonce too high", -32006, "Nonce too high"},
		{"insufficient funds", -32004, "Upfront cost exceeds account balance"},
		{"intrinsic gas too low", -32003, "Intrinsic gas exceeds gas limit"},
		{"exceeds block gas limit", -32005, "Transaction gas limit exceeds block gas limit"},
		{"tx fee", -32000, "Transaction fee cap exceeded"},
		{"invalid chain id", -32000, "Wrong chainId"},
		{"only replay-protected", -32000, "Wrong chainId"},
		{"invalid sender", -32002, "Invalid signature"},
		{"transaction underpriced", -32009, "Gas price below configured minimum gas price"},
		{"max fee per gas less than block base fee", -32009, "Gas price below current base fee"},
		{"execution reverted", 3, "Execution reverted"},
		{"does not exist/is not available", -32601, "Method not found"},
		{"finalized block not found", -39001, "Unknown block"},
		{"safe block not found", -39001, "Unknown block"},
		{"header not found", -39001, "Unknown block"},
	}
}

// asBesu is an error in Besu's words; what has none stays as it is.
func asBesu(err rpcError) rpcError {
	for _, one := range translations() {
		if strings.Contains(err.Message, one.has) {
			return rpcError{Code: one.code, Message: one.says, Data: err.Data}
		}
	}
	return err
}
