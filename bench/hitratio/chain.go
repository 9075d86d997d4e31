package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"
)

// The chain's first newest block, and its id.
const (
	chainID   = 31337
	firstHead = 1_000_000
)

// clock says which block is the newest at a time.
type clock struct {
	start     time.Time // of firstHead
	blockTime time.Duration
}

func (c clock) head(at time.Time) uint64 {
	return firstHead + uint64(max(at.Sub(c.start), 0)/c.blockTime)
}

// age is for how long a block has not been the newest any more; 0 while it is.
func (c clock) age(number uint64, at time.Time) time.Duration {
	followed := c.start.Add(time.Duration(number-firstHead+1) * c.blockTime)
	return max(at.Sub(followed), 0)
}

// Every answer follows from the question and a block, which it shows: so an
// answer tells how old it is.

func quantity(n uint64) string { return fmt.Sprintf(`"0x%x"`, n) }

func word(n uint64) string { return fmt.Sprintf(`"0x%064x"`, n) }

func block(n uint64) string {
	return fmt.Sprintf(`{"number":"0x%x","hash":"0x%064x","parentHash":"0x%064x","transactions":[]}`, n, n+1, n)
}

// transaction is the hash of one of a block's transactions.
func transaction(block, index uint64) string { return fmt.Sprintf("0x%060x%04x", block, index) }

// minedIn is the block of a transaction.
func minedIn(hash string) uint64 {
	n, _ := hexutil.DecodeUint64("0x" + strings.TrimLeft(hash[2:len(hash)-4], "0")) // hashes come from transaction
	return n
}

func receipt(hash string) string {
	n := minedIn(hash)
	return fmt.Sprintf(`{"transactionHash":%q,"transactionIndex":"0x0","blockNumber":"0x%x","blockHash":"0x%064x","status":"0x1","logs":[]}`, hash, n, n+1)
}

// logs has one log of each block.
func logs(from, to uint64) string {
	var parts []string
	for n := from; n <= to; n++ {
		parts = append(parts, fmt.Sprintf(`{"address":"0x%040x","topics":[],"data":"0x","blockNumber":"0x%x","blockHash":"0x%064x","transactionHash":%q,"transactionIndex":"0x0","logIndex":"0x0","removed":false}`,
			1, n, n+1, transaction(n, 0)))
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// blockOf reads the number of a block; a tag means the newest one.
func blockOf(text string, head uint64) uint64 {
	if n, err := hexutil.DecodeUint64(text); err == nil {
		return n
	}
	return head
}
