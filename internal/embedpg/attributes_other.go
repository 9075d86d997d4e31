//go:build !linux

package embedpg

import "syscall"

// childAttributes: a process group of its own, so that Ctrl-C at the terminal
// reaches us alone and we stop in our order, and the server's user when we are
// root. Only Linux can stop the child when we are killed.
func childAttributes(owner user) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: owner.credential()}
}
