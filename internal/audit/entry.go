package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
	"time"
)

// Config is how long what is kept.
type Config struct {
	// Enabled keeps an audit log. Without authentication (dev) there is none, since
	// nobody is known by name.
	Enabled bool `yaml:"enabled"`
	// Retention is how long rows are kept; 0 keeps them for ever. What is older is
	// pruned once an hour.
	Retention time.Duration `yaml:"retention"`
}

// Default keeps everything.
func Default() Config { return Config{Enabled: true} }

// minRetention keeps a typing error from emptying the log.
const minRetention = 24 * time.Hour

// Validate reports what is wrong.
func (c Config) Validate() error {
	if c.Retention != 0 && c.Retention < minRetention {
		return errors.New("audit.retention: must be 0 (for ever) or at least 24h")
	}
	return nil
}

// Entry is something that was done, asked for or refused. It holds no secret,
// and of calldata the selector and the hash at most.
type Entry struct {
	Tenant  string
	Actor   string // who, as policies name callers
	KeyID   string // the API key, "" for none
	Address string // where the request came from
	Action  string // such as transaction.submit
	Object  string // what it was done to: an id or an address
	// Decision is allow, deny or what else came of it.
	Decision string
	// Detail is the rest, as JSON; nil for nothing.
	Detail map[string]any
}

// Row is an entry in its place in the chain.
type Row struct {
	Seq            int64
	At             time.Time
	Tenant         string
	Actor          string
	KeyID          string
	Address        string
	Action         string
	Object         string
	Decision       string
	Detail         string // JSON, "" for nothing
	Previous, Hash []byte
}

// row puts an entry behind another row.
func (e Entry) row(seq int64, at time.Time, previous []byte) (Row, error) {
	r := Row{
		Seq: seq, At: at.UTC().Truncate(time.Microsecond), Tenant: e.Tenant, Actor: e.Actor, KeyID: e.KeyID, Address: e.Address,
		Action: e.Action, Object: e.Object, Decision: e.Decision, Previous: previous,
	}
	if len(e.Detail) > 0 {
		text, err := json.Marshal(e.Detail) // sorts the keys
		if err != nil {
			return Row{}, err //nolint:wrapcheck // the caller says what was being done
		}
		r.Detail = string(text)
	}
	r.Hash = r.digest()
	return r, nil
}

// digest is what Hash must be: SHA-256 over all other fields, each with its
// length, so that no two rows run together into one text.
func (r Row) digest() []byte {
	h := sha256.New()
	for _, field := range []string{
		"slipway audit 1", string(r.Previous), strconv.FormatInt(r.Seq, 10), r.At.UTC().Format(time.RFC3339Nano),
		r.Tenant, r.Actor, r.KeyID, r.Address, r.Action, r.Object, r.Decision, r.Detail,
	} {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(field)))
		h.Write(length[:])
		h.Write([]byte(field))
	}
	return h.Sum(nil)
}

// Report is what Verify found.
type Report struct {
	// Rows that are there and whole.
	Rows int64
	// Pruned is the number of the last row that was pruned; 0 if none was.
	Pruned int64
	// Head is the hash of the last row, in hexadecimal.
	Head string
}

// BrokenError is the first place where the chain does not hold.
type BrokenError struct {
	Seq int64
	Why string
}

func (e *BrokenError) Error() string {
	return "the audit log is broken at row " + strconv.FormatInt(e.Seq, 10) + ": " + e.Why
}

// link is the end of a chain that is being verified.
type link struct {
	seq  int64
	hash string
}

// follow says whether a row continues the chain, and gives the new end.
func (l link) follow(r Row) (link, error) {
	switch {
	case r.Seq != l.seq+1:
		return l, &BrokenError{l.seq + 1, "it is missing"}
	case string(r.Previous) != l.hash:
		return l, &BrokenError{r.Seq, "it does not follow the row before, one of the two was changed"}
	case string(r.digest()) != string(r.Hash):
		return l, &BrokenError{r.Seq, "its content was changed"}
	}
	return link{r.Seq, string(r.Hash)}, nil
}

// pruneAction is the entry that tells of a checkpoint.
const pruneAction = "audit.prune"

// checkpointObject is how a prune's entry names its checkpoint.
func checkpointObject(seq int64, hash []byte) string {
	return strconv.FormatInt(seq, 10) + ":" + hex.EncodeToString(hash)
}
