package audit

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/pgtest"
	"github.com/slipwayhq/slipway/internal/schema"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m, pgtest.Template(schema.Migrate))) }

func open(t *testing.T) *Log {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), pgtest.DSN(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return New(pool)
}

// exec runs a statement with the rules against change off, as somebody would who
// owns the database.
func (l *Log) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	conn, err := l.pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	for _, s := range []string{`set session_replication_role = replica`, sql, `set session_replication_role = default`} {
		if s == sql {
			_, err = conn.Exec(t.Context(), s, args...)
		} else {
			_, err = conn.Exec(t.Context(), s)
		}
		require.NoError(t, err)
	}
}

func entry(i int) Entry {
	return Entry{
		Tenant: "acme", Actor: "key:portal", KeyID: "k1", Address: "10.0.0.1", Action: "transaction.submit", Object: fmt.Sprint(i), Decision: "allow",
		Detail: map[string]any{"selector": "0xa9059cbb", "rules": []string{"a", "b"}, "n": i},
	}
}

func (l *Log) fill(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		require.NoError(t, l.Record(t.Context(), entry(i)))
	}
}

func TestLog_AWholeChain(t *testing.T) {
	t.Parallel()
	l := open(t)
	report, err := l.Verify(t.Context())
	require.NoError(t, err)
	require.Zero(t, report.Rows)

	require.NoError(t, l.Record(t.Context()), "nothing to write")
	require.NoError(t, l.Record(t.Context(), entry(1), Entry{Action: "x"}, entry(2)))
	l.fill(t, 3)

	report, err = l.Verify(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 6, report.Rows)
	require.Len(t, report.Head, 64)
	list, err := l.List(t.Context(), "acme", 0, 2)
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.EqualValues(t, 6, list[0].Seq)
	list, err = l.List(t.Context(), "acme", list[1].Seq, 10)
	require.NoError(t, err)
	require.Len(t, list, 3, "the entry of no tenant is not theirs")
	require.JSONEq(t, `{"selector":"0xa9059cbb","rules":["a","b"],"n":0}`, list[0].Detail)
}

func TestLog_FindsWhatWasDone(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		sql []string
		at  int64
	}{
		"a removed row":          {[]string{`delete from audit_log where seq = 4`}, 4},
		"the first row removed":  {[]string{`delete from audit_log where seq = 1`}, 1},
		"the last row removed":   {[]string{`delete from audit_log where seq = 8`}, 8},
		"everything removed":     {[]string{`delete from audit_log`}, 1},
		"another actor":          {[]string{`update audit_log set actor = 'key:other' where seq = 4`}, 4},
		"another tenant":         {[]string{`update audit_log set tenant_id = 'other' where seq = 8`}, 8},
		"another key":            {[]string{`update audit_log set key_id = 'k2' where seq = 1`}, 1},
		"another address":        {[]string{`update audit_log set address = '' where seq = 2`}, 2},
		"another action":         {[]string{`update audit_log set action = 'x' where seq = 2`}, 2},
		"another object":         {[]string{`update audit_log set object = 'x' where seq = 2`}, 2},
		"another decision":       {[]string{`update audit_log set decision = 'deny' where seq = 2`}, 2},
		"another detail":         {[]string{`update audit_log set detail = detail || ' ' where seq = 2`}, 2},
		"another time":           {[]string{`update audit_log set at = at + interval '1 microsecond' where seq = 2`}, 2},
		"another hash":           {[]string{`update audit_log set hash = previous where seq = 2`}, 2},
		"another previous":       {[]string{`update audit_log set previous = hash where seq = 2`}, 2},
		"text moved to a field":  {[]string{`update audit_log set actor = actor || key_id, key_id = '' where seq = 3`}, 3},
		"two rows changed place": {[]string{`update audit_log set seq = 100 where seq = 4`, `update audit_log set seq = 4 where seq = 5`, `update audit_log set seq = 5 where seq = 100`}, 4},
		"a row put in between":   {[]string{`insert into audit_log select 9, at, tenant_id, actor, key_id, address, action, object, decision, detail, previous, hash from audit_log where seq = 8`}, 9},
		"a head set back":        {[]string{`update audit_head set seq = 7, hash = (select hash from audit_log where seq = 7)`}, 8},
		"a made up checkpoint":   {[]string{`insert into audit_checkpoints (seq, hash) select seq, hash from audit_log where seq = 3`, `delete from audit_log where seq <= 3`}, 3},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := open(t)
			l.fill(t, 8)
			for _, sql := range c.sql {
				l.exec(t, sql)
			}

			_, err := l.Verify(t.Context())

			var broken *BrokenError
			require.ErrorAs(t, err, &broken)
			require.Equal(t, c.at, broken.Seq, broken.Why)
		})
	}
}

func TestLog_IsAppendOnly(t *testing.T) {
	t.Parallel()
	l := open(t)
	l.fill(t, 2)
	for _, sql := range []string{`update audit_log set actor = 'x'`, `delete from audit_log`, `truncate audit_log`} {
		_, err := l.pool.Exec(t.Context(), sql)
		require.ErrorContains(t, err, "append-only", sql)
	}
}

// Two replicas write at the same time: the chain has one order.
func TestLog_WritersTogether(t *testing.T) {
	t.Parallel()
	first := open(t)
	second := New(first.pool)
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			l := []*Log{first, second}[i%2]
			if err := l.Record(t.Context(), entry(i), entry(i+1000)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()

	report, err := first.Verify(t.Context())

	require.NoError(t, err)
	require.EqualValues(t, 80, report.Rows)
}

func TestLog_Prune(t *testing.T) {
	t.Parallel()
	l := open(t)
	gone, err := l.Prune(t.Context(), time.Hour, Entry{Actor: "cli"})
	require.NoError(t, err)
	require.Zero(t, gone, "an empty log")
	l.fill(t, 6)
	gone, err = l.Prune(t.Context(), time.Hour, Entry{Actor: "cli"})
	require.NoError(t, err)
	require.Zero(t, gone, "nothing is that old")

	gone, err = l.Prune(t.Context(), 0, Entry{Actor: "cli"})
	require.NoError(t, err)
	require.EqualValues(t, 6, gone)
	report, err := l.Verify(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, report.Rows, "the entry that tells of it")
	require.EqualValues(t, 6, report.Pruned)

	l.fill(t, 3)
	gone, err = l.Prune(t.Context(), 0, Entry{Actor: "cli"})
	require.NoError(t, err)
	require.EqualValues(t, 4, gone)
	l.fill(t, 2)
	report, err = l.Verify(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 3, report.Rows)

	// What is left after a prune is watched as before.
	l.exec(t, `update audit_log set actor = 'x' where seq = 12`)
	_, err = l.Verify(t.Context())
	require.ErrorContains(t, err, "row 12")
}

func TestConfig_Validate(t *testing.T) {
	t.Parallel()
	require.NoError(t, Default().Validate())
	require.NoError(t, Config{Retention: 30 * 24 * time.Hour}.Validate())
	require.ErrorContains(t, Config{Retention: time.Hour}.Validate(), "24h")
}
