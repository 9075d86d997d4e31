package embedpg

import (
	"errors"
	"fmt"
	"os"
	osuser "os/user"
	"strconv"
	"syscall"
)

// user is whom the server runs as. The zero value is ourselves: PostgreSQL
// refuses to run as root, so only root has to become somebody else.
type user struct {
	isOther  bool
	uid, gid uint32
}

// serverUser picks an unprivileged user when we are root. It must be in
// passwd: initdb looks its name up.
func serverUser() (user, error) {
	if os.Geteuid() != 0 {
		return user{}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := osuser.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(found.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(found.Gid, 10, 32)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return user{}, fmt.Errorf("user %s: %w", name, err)
		}
		return user{isOther: true, uid: uint32(uid), gid: uint32(gid)}, nil
	}
	return user{}, errors.New("PostgreSQL does not run as root, and neither a user postgres nor nobody exists")
}

func (u user) credential() *syscall.Credential {
	if !u.isOther {
		return nil
	}
	return &syscall.Credential{Uid: u.uid, Gid: u.gid}
}

// own makes the user the owner of a path.
func (u user) own(path string) error {
	if !u.isOther {
		return nil
	}
	if err := os.Chown(path, int(u.uid), int(u.gid)); err != nil {
		return fmt.Errorf("give to PostgreSQL's user: %w", err)
	}
	return nil
}

// canTraverse says whether the user may go through a folder.
func (u user) canTraverse(dir string) bool {
	info, err := os.Stat(dir)
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	mode := info.Mode().Perm()
	switch {
	case stat.Uid == u.uid:
		return mode&0o100 != 0
	case stat.Gid == u.gid:
		return mode&0o010 != 0
	default:
		return mode&0o001 != 0
	}
}
