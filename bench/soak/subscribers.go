package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/coder/websocket"
	"github.com/ethereum/go-ethereum/common/hexutil"
)

// subscribers is how many WebSocket clients there are, one topic each by turns.
const subscribers = 8

// topics are what is subscribed to. Every block has one log.
func topics() []string { return []string{"newHeads", "logs"} }

const (
	// silence is how long nothing may be told while a block a second is made.
	silence = 20 * time.Second
	// subscribeAgain stands between the end of a connection and the next one.
	subscribeAgain = 500 * time.Millisecond
)

// subscribe is a client that comes back whenever its connection ends.
func subscribe(ctx context.Context, url, topic string, seen *tally) {
	for {
		err := follow(ctx, url, topic, seen)
		if ctx.Err() != nil {
			return
		}
		seen.note("WebSocket: "+kindOf(err), "")
		seen.mu.Lock()
		seen.breaks++
		seen.mu.Unlock()
		if !pause(ctx, subscribeAgain) {
			return
		}
	}
}

// follow subscribes over one connection and judges what is told until it ends.
func follow(ctx context.Context, url, topic string, seen *tally) error {
	dialing, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, _, err := websocket.Dial(dialing, url, nil) //nolint:bodyclose // the library closes it
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.CloseNow() }()
	question := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":[%q%s]}`, topic, map[string]string{"logs": ",{}"}[topic])
	if err := conn.Write(dialing, websocket.MessageText, []byte(question)); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	var last sequence
	for {
		reading, cancel := context.WithTimeout(ctx, silence)
		_, text, err := conn.Read(reading)
		isSilent := reading.Err() != nil && ctx.Err() == nil
		cancel()
		if isSilent {
			seen.note("", fmt.Sprintf("%s: nothing was told for %v after %d", topic, silence, last.number))
		}
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if err := seen.hear(topic, text, &last); err != nil {
			return err
		}
	}
}

// sequence is how far a subscriber has come.
type sequence struct {
	number  uint64
	isBegun bool
}

// next says what is wrong with a number that follows; empty when nothing is.
func (s *sequence) next(number uint64) string {
	before := *s
	*s = sequence{number, true}
	if before.isBegun && number != before.number+1 {
		return fmt.Sprintf("%d after %d", number, before.number)
	}
	return ""
}

// hear judges one message to a subscriber. Its error says that it was refused.
func (t *tally) hear(topic string, text []byte, last *sequence) error {
	var message struct {
		Method string
		Error  *struct{ Message string }
		Params struct {
			Result struct{ Number, BlockNumber, Hash, BlockHash string }
		}
	}
	if json.Unmarshal(text, &message) != nil {
		t.note("", fmt.Sprintf("%s: %.200s", topic, text))
		return nil //nolint:nilerr // noted as a wrong answer
	}
	if message.Error != nil {
		return fmt.Errorf("subscribe to %s: %s", topic, message.Error.Message)
	}
	if message.Method != "eth_subscription" {
		return nil // the answer to eth_subscribe
	}
	event := message.Params.Result
	number, _ := hexutil.DecodeUint64(event.Number + event.BlockNumber) // one of them is there; block 0 is none of the chain's
	if number == 0 || event.Hash+event.BlockHash != fmt.Sprintf("0x%064x", number+1) {
		t.note("", fmt.Sprintf("%s: %.200s", topic, text))
		return nil
	}
	t.mu.Lock()
	t.events++
	t.mu.Unlock()
	if wrong := last.next(number); wrong != "" {
		t.note("", topic+": "+wrong)
	}
	return nil
}
