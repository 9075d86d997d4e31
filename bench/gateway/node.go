package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	benchChain  = 31337
	firstHead   = 20_000_000
	finalDepth  = 64
	bigBlockTxs = 130 // about 100 KB
)

// node answers calls about a chain that exists in templates only. It makes a
// block a second.
type node struct {
	start  time.Time
	fixed  map[string]string // results that never differ, by method
	blocks sync.Map          // rendered ones, by their parameters
}

func newNode() *node {
	return &node{start: time.Now(), fixed: map[string]string{
		"eth_chainId":        fmt.Sprintf(`"0x%x"`, benchChain),
		"net_version":        fmt.Sprintf(`"%d"`, benchChain),
		"web3_clientVersion": `"bench/1"`,
		"eth_syncing":        `false`,
		"eth_gasPrice":       `"0x3b9aca00"`,
		"eth_getBalance":     `"0x56bc75e2d63100000"`,
	}}
}

func (n *node) head() uint64 { return firstHead + uint64(time.Since(n.start)/time.Second) }

// answer appends the answer to a call or a batch.
func (n *node) answer(out, body []byte) []byte {
	s := scanner{text: body}
	if s.peek() != '[' {
		return n.answerCall(out, body)
	}
	out = append(out, '[')
	for i, call := range s.elements() {
		if i > 0 {
			out = append(out, ',')
		}
		out = n.answerCall(out, call)
	}
	return append(out, ']')
}

func (n *node) answerCall(out, call []byte) []byte {
	id, method, params := readCall(call)
	out = append(out, `{"jsonrpc":"2.0","id":`...)
	out = append(out, id...)
	out = append(out, `,"result":`...)
	mark := len(out)
	if out = n.result(out, string(method), params); len(out) == mark {
		out = append(out[:mark-len(`"result":`)], `"error":{"code":-32601,"message":"no such method"}`...)
	}
	return append(out, '}')
}

// result appends the result of a call, or nothing when the method is unknown.
func (n *node) result(out []byte, method string, params []byte) []byte {
	if text, ok := n.fixed[method]; ok {
		return append(out, text...)
	}
	switch method {
	case "eth_blockNumber":
		return append(strconv.AppendUint(append(out, `"0x`...), n.head(), 16), `"`...)
	case "eth_getTransactionReceipt":
		return appendReceipt(out, firstText(params))
	case "eth_getBlockByNumber":
		return append(out, n.block(params)...)
	}
	return out
}

func (n *node) block(params []byte) []byte {
	if block, ok := n.blocks.Load(string(params)); ok {
		return block.([]byte) //nolint:forcetypeassert // nothing else is stored
	}
	head, isFull := n.head(), bytes.Contains(params, []byte("true"))
	number := uint64(0)
	switch tag := firstText(params); tag {
	case "latest", "pending":
		return renderBlock(head, isFull)
	case "finalized", "safe":
		return renderBlock(head-finalDepth, isFull)
	case "earliest":
	default:
		parsed, err := strconv.ParseUint(strings.TrimPrefix(tag, "0x"), 16, 64)
		if err != nil || parsed > head {
			return []byte("null")
		}
		number = parsed
	}
	block := renderBlock(number, isFull)
	n.blocks.Store(string(params), block)
	return block
}

func firstText(params []byte) string {
	parts := bytes.SplitN(params, []byte{'"'}, 3)
	if len(parts) < 3 {
		return ""
	}
	return string(parts[1])
}

// hash is the n-th hash of a kind.
func hash(kind byte, n uint64) string {
	return fmt.Sprintf("0x%02x%046x%016x", kind, n*0x9e3779b97f4a7c15, n)
}

const emptyBloomBytes = 256

// renderBlock makes a block of about 1.7 KB with hashes, or of about 100 KB
// with whole transactions.
func renderBlock(number uint64, isFull bool) []byte {
	parent := number - min(number, 1)
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"number":"0x%x","hash":"%s","parentHash":"%s","timestamp":"0x%x",`, number, hash('b', number), hash('b', parent), 1_700_000_000+number)
	fmt.Fprintf(&b, `"stateRoot":"%s","transactionsRoot":"%s","receiptsRoot":"%s",`, hash('s', number), hash('t', number), hash('r', number))
	fmt.Fprintf(&b, `"sha3Uncles":"%s","mixHash":"%s","miner":"0x%040x","logsBloom":"0x%s",`, hash('u', 0), hash('m', 0), 0xbe, strings.Repeat("00", emptyBloomBytes))
	b.WriteString(`"nonce":"0x0000000000000000","difficulty":"0x1","totalDifficulty":"0x1","extraData":"0x","size":"0x6a4","gasLimit":"0x1fffffffffffff","gasUsed":"0x5208","baseFeePerGas":"0x0","uncles":[],"transactions":[`)
	count := uint64(2)
	if isFull {
		count = bigBlockTxs
	}
	for i := range count {
		if i > 0 {
			b.WriteByte(',')
		}
		if isFull {
			appendTransaction(&b, number, i)
		} else {
			fmt.Fprintf(&b, `"%s"`, hash('x', number+i))
		}
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

func appendTransaction(b *bytes.Buffer, block, index uint64) {
	fmt.Fprintf(b, `{"hash":"%s","blockHash":"%s","blockNumber":"0x%x","transactionIndex":"0x%x","type":"0x0","nonce":"0x%x",`,
		hash('x', block+index), hash('b', block), block, index, index)
	fmt.Fprintf(b, `"from":"0x%040x","to":"0x%040x","value":"0x0","gas":"0x7530","gasPrice":"0x0","input":"0xa9059cbb%0128x",`, index, index+1, index)
	fmt.Fprintf(b, `"chainId":"0x%x","v":"0xf4f5","r":"%s","s":"%s"}`, benchChain, hash('1', index), hash('2', index))
}

// appendReceipt writes a receipt of about 1 KB in a block that is final.
func appendReceipt(out []byte, tx string) []byte {
	const number = firstHead - 10_000
	return fmt.Appendf(out, `{"transactionHash":"%s","transactionIndex":"0x0","blockHash":"%s","blockNumber":"0x%x","from":"0x%040x","to":"0x%040x",`+
		`"contractAddress":null,"cumulativeGasUsed":"0x5208","gasUsed":"0x5208","effectiveGasPrice":"0x0","logs":[],"logsBloom":"0x%s","status":"0x1","type":"0x0"}`,
		tx, hash('b', number), number, 1, 2, strings.Repeat("00", emptyBloomBytes))
}
