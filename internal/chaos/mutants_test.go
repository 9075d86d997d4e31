package chaos

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// edit replaces every occurrence of a text in a file of the repository.
type edit struct{ file, old, new string }

// mutant is the signer, or its database, with one protection taken out.
type mutant struct {
	name  string
	edits []edit
	sql   string // done to a new database
	rows  string // pattern of the tests that must notice
}

const queueDir = "internal/queue/"

func mutants() []mutant {
	return []mutant{
		{name: "the fence: a commit asks neither for the lease's epoch nor for next_nonce", rows: `^TestRow03_ZombieLeader$`, edits: []edit{
			{queueDir + "store_commit.go", " and s.lease_epoch = c.epoch and s.next_nonce = c.first", ""},
		}},
		{name: "write before broadcast: bytes are offered to the node before they are committed", rows: `^TestRow01_KilledAtEachPoint$/^(after_sign|before_commit):1$`, edits: []edit{
			{queueDir + "sign.go", "\tfailpoint.Hit(\"after_sign\")\n", "\td.offerEarly(ctx, signed)\n\tfailpoint.Hit(\"after_sign\")\n"},
			{queueDir + "send.go", "// minWindow keeps", "func (d *driver) offerEarly(ctx context.Context, list []signedTx) {\n\tfor _, t := range list {\n\t\td.node.SendRaw(ctx, [][]byte{t.raw}, []common.Hash{t.hash})\n\t}\n}\n\n// minWindow keeps"},
		}},
		{name: "the unique index: a transaction may have two live nonces", sql: `drop index nonce_slots_live`, rows: `^TestRow14_TheDatabaseRefuses$`},
		{
			name: "the primary key of nonces: two transactions may have one nonce", rows: `^TestRow14_TheDatabaseRefuses$`,
			sql: `alter table nonce_slots drop constraint nonce_slots_pkey cascade`,
		},
		{name: "sending again: what a node has forgotten stays forgotten", rows: `^TestRow07_NodeForgetsItsPool$`, edits: []edit{
			{queueDir + "slots.go", "return s != nil && s.sent && now.Sub(s.lastSent) >= patience", "return s != nil && s.sent && patience < 0"},
		}},
		{name: "the second look: a reorganisation goes unnoticed", rows: `^TestRow09_Reorganisation$`, edits: []edit{
			{queueDir + "settle.go", "\treceipts, err := d.node.Receipts(ctx, hashes)\n\tif err != nil {\n\t\treturn err\n\t}\n\tvar still []*slot", "\treceipts, err := make([]*nodeclient.Receipt, len(ripe)), error(nil)\n\tfor i, s := range ripe {\n\t\treceipts[i] = s.mined\n\t}\n\tif err != nil {\n\t\treturn err\n\t}\n\tvar still []*slot"},
		}},
		{name: "idempotency: a key that was used is no conflict", rows: `^TestRow15_`, sql: `drop index transactions_idem_key; create unique index transactions_idem_key on transactions (tenant_id, idem_key, id) where idem_key is not null`, edits: []edit{
			{queueDir + "store_accepting.go", "on conflict (tenant_id, idem_key) where", "on conflict (tenant_id, idem_key, id) where"},
		}},
		{name: "the genesis block: another chain is taken for the same one", rows: `^TestRow10_ChainReset$`, edits: []edit{
			{queueDir + "identity.go", "if i.pinned != genesis {", "if i.pinned != genesis && i.chainID == 0 {"},
		}},
		{name: "the database's clock: ages are taken from the replica's", rows: `^TestRow12_TheAge`, edits: []edit{
			{queueDir + "store_slots.go", "return now.Add(-time.Duration(*seconds * float64(time.Second)))", "return time.Now().Add(-time.Duration(*seconds * float64(time.Second)))"},
		}},
	}
}

// Each protection is taken out alone, and the rows that are there to notice
// must fail. It runs in make chaos-mutants only.
func TestMutants(t *testing.T) { //nolint:paralleltest // each has the machine for itself
	if os.Getenv(modeVariable) != "mutants" {
		return // the rows themselves run instead
	}
	var table strings.Builder
	defer func() { t.Logf("\n%s", table.String()) }()
	for _, m := range append([]mutant{{name: "nothing (the rows that judge below must pass)", rows: allRows()}}, mutants()...) {
		program := filepath.Join(t.TempDir(), "signer")
		require.NoError(t, buildSigner(program, "-overlay", m.overlay(t)), m.name)
		out, passed := m.judge(t, program)
		noticed := "noticed"
		switch isOriginal := len(m.edits) == 0 && m.sql == ""; {
		case isOriginal && !passed:
			t.Errorf("fails without any mutation:\n%s", out)
			noticed = "FAILS"
		case isOriginal:
			noticed = "passes"
		case passed:
			t.Errorf("NOT noticed: %s\n%s", m.name, out)
			noticed = "NOT NOTICED"
		}
		table.WriteString("taken out: " + m.name + "\n    " + noticed + firstFault(out) + "\n")
	}
}

func allRows() string {
	var rows []string
	for _, m := range mutants() {
		top, _, _ := strings.Cut(m.rows, "/")
		rows = append(rows, top)
	}
	return strings.Join(rows, "|")
}

// overlay writes what go build -overlay wants: the changed files beside the tree.
func (m mutant) overlay(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	dir := t.TempDir()
	replace := map[string]string{}
	for _, e := range m.edits {
		original := filepath.Join(root, e.file)
		from := original
		if earlier, isChanged := replace[original]; isChanged {
			from = earlier
		}
		text, err := os.ReadFile(from)
		require.NoError(t, err)
		require.Contains(t, string(text), e.old, "%s has changed: mend the mutation", e.file)
		changed := filepath.Join(dir, strings.ReplaceAll(e.file, "/", "_"))
		require.NoError(t, os.WriteFile(changed, []byte(strings.ReplaceAll(string(text), e.old, e.new)), 0o600))
		replace[original] = changed
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	path := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	return path
}

// judge runs the rows against the mutant, in a process of their own.
func (m mutant) judge(t *testing.T, program string) (output string, passed bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run", m.rows, "-test.v", "-test.timeout", "8m")
	cmd.Env = append(os.Environ(), modeVariable+"=short", signerVariable+"="+program, sqlVariable+"="+m.sql)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	out, err := cmd.CombinedOutput()
	text := string(out)
	require.True(t, err != nil || strings.Contains(text, "--- PASS"), "no test ran: %s", text)
	require.True(t, err == nil || strings.Contains(text, "--- FAIL"), "it ended otherwise than by a test: %s", text)
	return text, err == nil
}

// firstFault is how the first test that failed says so.
func firstFault(output string) string {
	var test, fault, message string
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		value := func(name string, into *string) {
			if text, is := strings.CutPrefix(line, name); is && *into == "" {
				*into = strings.TrimSpace(text)
			}
		}
		value("Error:", &fault)
		value("Messages:", &message)
		if fault != "" {
			value("Test:", &test)
		}
	}
	if fault == "" {
		return ""
	}
	text := strings.TrimSpace(fault + " " + message)
	return ": " + test + ": " + text[:min(len(text), 120)]
}
