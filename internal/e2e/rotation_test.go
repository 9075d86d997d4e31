package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/pgtest"
	"github.com/slipwayhq/slipway/internal/secret/secrettest"
)

// rotation is a signer that logs in with a role whose password stands in a
// mounted Secret. Its connections live for a fifth of a second.
type rotation struct {
	*system
	signer *program
	db     *pgx.Conn
	role   string
	files  *secrettest.Mount

	accepted []submitted
	away     atomic.Int64 // answers 503
	count    atomic.Int64 // of accepted transactions
}

func startRotation(t *testing.T) *rotation {
	t.Helper()
	r := &rotation{system: startNetwork(t), role: "role_" + strings.ToLower(t.Name())}
	dsn := pgtest.DSN(t)
	at, err := url.Parse(dsn)
	require.NoError(t, err)
	r.db, err = pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.db.Close(context.WithoutCancel(t.Context())) })
	r.exec(t, `create role `+r.role+` login password 'hush-1'`)
	r.exec(t, `alter database `+pgx.Identifier{at.Path[1:]}.Sanitize()+` owner to `+r.role)

	r.files = secrettest.New(t, map[string]string{"password": "hush-1"})
	at.User = url.User(r.role)
	short := *at
	query := short.Query()
	query.Set("pool_max_conn_lifetime", "200ms")
	query.Set("pool_health_check_period", "50ms")
	short.RawQuery = query.Encode()
	r.signer = newProgram(t, "signer", map[string]any{
		"dev": true, "gatewayUrl": r.gateway, "migrateUrl": at.String(), "databasePasswordFile": r.files.Path("password"),
		"databaseConns": 8, "drainTimeout": "1s",
		"keys":  map[string]any{"mnemonic": phrase, "accounts": accounts},
		"queue": map[string]any{"chainId": chainID, "headPoll": "50ms", "leaseTtl": "2s"},
	})
	r.signer.env = []string{"SLIPWAY_DATABASE_URL=" + short.String()}
	r.signer.serve(t)
	r.system.signer = &signerProcess{url: r.signer.url}
	return r
}

func (r *rotation) exec(t *testing.T, sql string) {
	t.Helper()
	_, err := r.db.Exec(t.Context(), sql)
	require.NoError(t, err)
}

func (r *rotation) setPassword(t *testing.T, password string) {
	t.Helper()
	r.exec(t, `alter role `+r.role+` password '`+password+`'`)
}

func (r *rotation) swap(t *testing.T, password string) {
	t.Helper()
	r.files.Swap(t, map[string]string{"password": password})
}

// cut ends all sessions of the signer.
func (r *rotation) cut(t *testing.T) {
	t.Helper()
	r.exec(t, `select pg_terminate_backend(pid) from pg_stat_activity where usename = '`+r.role+`'`)
}

// submitAlways sends transactions until it is told to stop; each is sent until it
// is accepted.
func (r *rotation) submitAlways(t *testing.T) (stop func()) {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	over := make(chan struct{})
	from := senders(t)
	next := 0
	for range accounts {
		wg.Go(func() {
			for {
				select {
				case <-over:
					return
				case <-time.After(10 * time.Millisecond):
				}
				mu.Lock()
				i := next
				next++
				r.accepted = append(r.accepted, submitted{sender: from[i%len(from)]})
				mu.Unlock()
				sub, err := r.submit(t.Context(), i, from[i%len(from)])
				if err != nil {
					t.Errorf("request %d: %v", i, err)
					return
				}
				mu.Lock()
				r.accepted[i] = sub
				mu.Unlock()
				r.count.Add(1)
			}
		})
	}
	return func() {
		close(over)
		wg.Wait()
	}
}

func (r *rotation) submit(ctx context.Context, i int, from common.Address) (submitted, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	sub := submitted{sender: from}
	tx := fmt.Sprintf(`{"from":"%s","to":"%s","data":"%s"}`, from.Hex(), common.HexToAddress("0xdead").Hex(), marker(i))
	for {
		err := sub.byREST(ctx, r.system, tx, fmt.Sprintf("request-%d", i))
		if err == nil || errors.Is(err, errRefused) {
			return sub, err
		}
		r.away.Add(1)
		select {
		case <-ctx.Done():
			return sub, err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// more waits until so many more transactions were accepted.
func (r *rotation) more(t *testing.T) {
	t.Helper()
	const enough = 40
	until := r.count.Load() + enough
	waitUntil(t, func() bool { return r.count.Load() >= until || t.Failed() })
}

func (r *rotation) logs(t *testing.T, text string) int {
	t.Helper()
	return strings.Count(r.signer.written(t), text)
}

const (
	refusedLine = "the database refuses the changed login"
	changedLine = "a changed login of the database is in use"
)

// The password of the signer's role changes in every order, and its sessions are
// cut. Whatever was accepted is executed once.
func TestRotation_OfTheDatabasesPassword(t *testing.T) {
	t.Parallel()
	r := startRotation(t)
	stop := r.submitAlways(t)
	r.more(t)

	// The file first, then the database: nobody notices.
	r.swap(t, "hush-2")
	waitUntil(t, func() bool { return r.logs(t, refusedLine) == 1 })
	r.more(t)
	r.setPassword(t, "hush-2")
	waitUntil(t, func() bool { return r.logs(t, changedLine) == 1 })
	r.more(t)
	require.Zero(t, r.away.Load(), "nothing was answered with 503")
	r.cut(t)
	r.more(t)
	t.Logf("%d answers 503 after all sessions were cut", r.away.Load())

	// The database first: new connections wait for the file.
	r.setPassword(t, "hush-3")
	r.cut(t)
	before := r.away.Load()
	waitUntil(t, func() bool { return r.away.Load() > before+accounts })
	require.False(t, r.signer.hasEnded())
	r.swap(t, "hush-3")
	waitUntil(t, func() bool { return r.logs(t, changedLine) == 2 })
	r.more(t)
	t.Logf("%d answers 503 while the file was behind", r.away.Load()-before)

	// A wrong one in the file, and none: the one before is used.
	before = r.away.Load()
	r.swap(t, "hush-4")
	waitUntil(t, func() bool { return r.logs(t, refusedLine) == 2 })
	r.more(t)
	r.swap(t, "")
	waitUntil(t, func() bool { return r.logs(t, "a secret cannot be read again") == 1 })
	r.more(t)
	r.swap(t, "hush-3")
	r.more(t)
	require.Equal(t, before, r.away.Load(), "nothing was answered with 503")
	stop()

	var onChain history
	waitUntil(t, func() bool { onChain = r.readChain(t); return len(onChain.byMarker) >= len(r.accepted) })
	require.Len(t, onChain.byMarker, len(r.accepted))
	for i, sub := range r.accepted {
		executed := onChain.byMarker[marker(i)]
		require.Len(t, executed, 1, "request %d was executed %d times", i, len(executed))
		require.Equal(t, sub.sender, executed[0].From)
	}
	t.Logf("%d transactions, each executed once", len(r.accepted))
	require.NotContains(t, r.signer.written(t), "hush-")
}
