package devstack

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"
)

// row is one line of the table of what runs where.
type row struct{ component, url, note string }

// WriteGuide prints what runs where, the accounts and what to try first.
func (s *Stack) WriteGuide(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\nSlipway is up on chain %d. Press Ctrl-C to stop.\n\n", s.chainID)
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "  COMPONENT\tWHERE\tNOTE")
	for _, r := range s.rows() {
		fmt.Fprintf(table, "  %s\t%s\t%s\n", r.component, r.url, r.note)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	s.writeAccounts(&b)
	s.writeExamples(&b)
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("print the guide: %w", err)
	}
	return nil
}

func (s *Stack) rows() []row {
	rows := append(s.chainRows(), s.postgresRow())
	if !s.cfg.Redis.IsEmpty() {
		rows = append(rows, row{"redis", "(as given)", "yours, keeps what the gateway has cached"})
	}
	return append(rows,
		row{"gateway", "http://" + s.gateway.Addr(), "JSON-RPC"},
		row{"", "http://" + s.gateway.AdminAddr(), "/metrics /livez /readyz"},
		row{"signer", "http://" + s.signer.Addr(), "REST and JSON-RPC, signs for the accounts below"},
		row{"", "http://" + s.signer.AdminAddr(), "/metrics /livez /readyz"},
	)
}

func (s *Stack) chainRows() []row {
	if s.chain == nil {
		var rows []row
		for _, upstream := range s.cfg.Upstreams {
			rows = append(rows, row{"chain", hostOf(upstream), "yours"})
		}
		return rows
	}
	return []row{
		{"chain", s.chain.HTTPURL(), fmt.Sprintf("go-ethereum in place of Besu, a block every %s, kept in %s", s.cfg.BlockTime, filepath.Join(s.cfg.State, "chain"))},
		{"", s.chain.WSURL(), "WebSocket"},
	}
}

func (s *Stack) postgresRow() row {
	if s.postgres == nil {
		return row{"postgres", "(as given)", "yours"}
	}
	return row{"postgres", s.postgres.Addr(), fmt.Sprintf("kept in %s, password in %s", s.postgres.DataDir(), filepath.Join(s.cfg.State, "postgres", "password"))}
}

func (s *Stack) writeAccounts(b *strings.Builder) {
	fmt.Fprintf(b, "\n  ACCOUNTS (m/44'/60'/0'/0/0 to %d)\n", accountCount-1)
	for i, account := range s.accounts {
		fmt.Fprintf(b, "  %d  %s\n", i, account.Hex())
	}
	if s.chain != nil {
		fmt.Fprint(b, "  Each owned 1,000,000 ether in the first block; gas is free.\n")
	}
	if s.cfg.Mnemonic.IsEmpty() {
		fmt.Fprintf(b, "  Their mnemonic is public: %q. Never use it for anything of value.\n", developmentMnemonic)
	}
}

// writeExamples prints lines that work when they are pasted: a read that the
// gateway caches, a transaction, and what became of it.
func (s *Stack) writeExamples(b *strings.Builder) {
	const asJSON = "-H 'Content-Type: application/json'"
	fmt.Fprintf(b, "\n  TRY\n")
	fmt.Fprintf(b, "  curl -s http://%s %s -d '%s'\n", s.gateway.Addr(), asJSON,
		`{"jsonrpc":"2.0","id":1,"method":"eth_getBlockByNumber","params":["0x0",false]}`)
	fmt.Fprintf(b, "  curl -s http://%s/v1/transactions -H 'Idempotency-Key: hello-1' %s -d '{\"from\":\"%s\",\"to\":\"%s\",\"value\":\"1000000000000000\"}'\n",
		s.signer.Addr(), asJSON, s.accounts[0].Hex(), s.accounts[1].Hex())
	fmt.Fprintf(b, "  curl -s 'http://%s/v1/transactions?idempotencyKey=hello-1'\n\n", s.signer.Addr())
}
