package embedpg

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/slipwayhq/slipway/internal/secret"
)

// sharedStateDir holds the data of state folders that the server's user cannot
// reach, such as a checkout in /root.
const sharedStateDir = "/var/lib/slipway"

// placement is where the files of one server lie.
type placement struct {
	dir   string // the state folder: password, port and log
	base  string // parent of the data; dir itself, or a folder in sharedStateDir
	owner user
}

func (p placement) data() string         { return filepath.Join(p.base, "data") }
func (p placement) unfinished() string   { return filepath.Join(p.base, "data.new") }
func (p placement) passwordFile() string { return filepath.Join(p.dir, "password") }
func (p placement) portFile() string     { return filepath.Join(p.dir, "port") }
func (p placement) logFile() string      { return filepath.Join(p.dir, "postgres.log") }

// choosePlace makes the folders.
func choosePlace(dir string, owner user) (placement, error) {
	if err := makeFolder(dir, owner); err != nil {
		return placement{}, err
	}
	p := placement{dir: dir, base: dir, owner: owner}
	if owner.isOther && !reachable(dir, owner) {
		sum := sha256.Sum256([]byte(dir))
		p.base = filepath.Join(sharedStateDir, "dev-"+hex.EncodeToString(sum[:4]))
		if err := makeFolder(p.base, owner); err != nil {
			return placement{}, err
		}
	}
	return p, nil
}

// makeFolder makes a folder that nobody but us can list, and that the server's
// user can go through.
func makeFolder(dir string, owner user) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // the server's user must get through
		return fmt.Errorf("state folder of PostgreSQL: %w", err)
	}
	mode := fs.FileMode(0o700)
	if owner.isOther {
		mode = 0o711
	}
	if err := os.Chmod(dir, mode); err != nil {
		return fmt.Errorf("state folder of PostgreSQL: %w", err)
	}
	return nil
}

// reachable says whether the user can go through every folder above dir and
// through dir itself.
func reachable(dir string, owner user) bool {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	for {
		if !owner.canTraverse(real) {
			return false
		}
		parent := filepath.Dir(real)
		if parent == real {
			return true
		}
		real = parent
	}
}

// loadPassword reads the cluster's password or makes one for a new cluster.
func (p placement) loadPassword() (secret.String, error) {
	text, err := os.ReadFile(p.passwordFile())
	if err == nil && len(text) > 0 {
		return secret.New(string(text)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return secret.String{}, fmt.Errorf("password of PostgreSQL: %w", err)
	}
	if err := p.discardOrphanedData(); err != nil {
		return secret.String{}, err
	}
	return p.makePassword()
}

// discardOrphanedData handles data whose password is gone. Outside the state
// folder it is the rest of a state folder that was deleted to begin afresh;
// inside it somebody deleted the one file, and the data may be wanted.
func (p placement) discardOrphanedData() error {
	if _, err := os.Stat(p.data()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if p.base == p.dir {
		return fmt.Errorf("state folder %s is broken: the password file is missing; delete the folder to begin afresh", p.dir)
	}
	if err := os.RemoveAll(p.data()); err != nil {
		return fmt.Errorf("remove the data of a deleted state folder: %w", err)
	}
	return nil
}

func (p placement) makePassword() (secret.String, error) {
	password := secret.New(rand.Text())
	if err := os.WriteFile(p.passwordFile(), []byte(password.Reveal()), 0o600); err != nil {
		return secret.String{}, fmt.Errorf("keep the password of PostgreSQL: %w", err)
	}
	return password, nil
}

// checkVersion refuses data of another major version, and folders that are not
// a PostgreSQL data folder at all, before the server does it in more words.
func (p placement) checkVersion(ctx context.Context, b binaries) error {
	text, err := os.ReadFile(filepath.Join(p.data(), "PG_VERSION"))
	if err != nil {
		return fmt.Errorf("state folder is broken: %s is not a PostgreSQL data folder; delete %s to begin afresh", p.data(), p.dir)
	}
	made := strings.TrimSpace(string(text))
	installed, err := b.major(ctx)
	if err != nil {
		return err
	}
	if majorIn(made) != installed {
		return fmt.Errorf("the data in %s is of PostgreSQL %s, but PostgreSQL %d is installed; install version %s or delete %s to begin afresh",
			p.data(), made, installed, made, p.dir)
	}
	return nil
}
