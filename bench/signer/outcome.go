package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/slipwayhq/slipway/internal/queue"
)

// observer asks the signer and the chain what became of the requests.
type observer struct {
	client              *http.Client
	signerURL, chainURL string
}

// item is what the signer shows of a transaction.
type item struct {
	Status         queue.Status
	Hash           string
	Data           string
	IdempotencyKey string
	UpdatedAt      time.Time
}

type page struct {
	Items []item
	Next  string
}

// pollEvery is seldom, because asking costs the signer CPU that is measured.
const pollEvery = 250 * time.Millisecond

// waitSettled waits until no transaction is on its way any more. A status is
// asked for only once all before it in a transaction's life are empty.
func (o observer) waitSettled(ctx context.Context) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for _, status := range []queue.Status{queue.StatusQueued, queue.StatusSigned, queue.StatusSubmitted, queue.StatusMined, queue.StatusSuspended} {
		for {
			p, err := o.list(ctx, url.Values{"status": {string(status)}, "limit": {"1"}})
			if err != nil {
				return err
			}
			if len(p.Items) == 0 {
				break
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return fmt.Errorf("transactions are still %s: %w", status, context.Cause(ctx))
			}
		}
	}
	return nil
}

// confirmed reads all transactions, by idempotency key.
func (o observer) confirmed(ctx context.Context) (map[string]item, error) {
	out := map[string]item{}
	query := url.Values{"limit": {"500"}}
	for {
		p, err := o.list(ctx, query)
		if err != nil {
			return nil, err
		}
		for _, it := range p.Items {
			if it.Status != queue.StatusConfirmed {
				return nil, fmt.Errorf("%s ended as %s", it.IdempotencyKey, it.Status)
			}
			out[it.IdempotencyKey] = it
		}
		if p.Next == "" {
			return out, nil
		}
		query.Set("cursor", p.Next)
	}
}

func (o observer) list(ctx context.Context, query url.Values) (page, error) {
	var p page
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.signerURL+"/v1/transactions?"+query.Encode(), nil)
	if err != nil {
		return p, err
	}
	status, answer, err := do(o.client, req)
	if err != nil {
		return p, fmt.Errorf("list transactions: %w", err)
	}
	if status != http.StatusOK {
		return p, fmt.Errorf("list transactions: HTTP %d %.300s", status, answer)
	}
	return p, json.Unmarshal(answer, &p)
}

// executed is what the chain holds: the hashes of each marker.
func (o observer) executed(ctx context.Context) (map[string][]string, error) {
	var head hexutil.Uint64
	if err := o.rpc(ctx, "eth_blockNumber", "", &head); err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for n := range head + 1 {
		var block struct {
			Transactions []struct{ Hash, Input string }
		}
		if err := o.rpc(ctx, "eth_getBlockByNumber", fmt.Sprintf(`"0x%x",true`, uint64(n)), &block); err != nil {
			return nil, err
		}
		for _, tx := range block.Transactions {
			out[tx.Input] = append(out[tx.Input], tx.Hash)
		}
	}
	return out, nil
}

func (o observer) rpc(ctx context.Context, method, params string, into any) error {
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"%s","params":[%s]}`, method, params)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.chainURL, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	_, answer, err := do(o.client, req)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	var response struct{ Result, Error json.RawMessage }
	if err := json.Unmarshal(answer, &response); err != nil || response.Error != nil {
		return fmt.Errorf("%s: %.300s", method, answer)
	}
	return json.Unmarshal(response.Result, into)
}

// checkExactlyOnce compares what was asked for, what the signer says and what
// the chain did.
func checkExactlyOnce(requests []request, items map[string]item, executed map[string][]string) error {
	for _, r := range requests {
		hashes := executed[r.marker()]
		if len(hashes) != 1 {
			return fmt.Errorf("request %d was executed %d times", r.number, len(hashes))
		}
		if it := items[r.key()]; it.Data != r.marker() || it.Hash != hashes[0] {
			return fmt.Errorf("request %d: the signer shows %s with %s, the chain has %s", r.number, it.Hash, it.Data, hashes[0])
		}
	}
	if len(executed) != len(requests) || len(items) != len(requests) {
		return fmt.Errorf("%d requests, but %d on the chain and %d at the signer", len(requests), len(executed), len(items))
	}
	return nil
}
