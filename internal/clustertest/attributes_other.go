//go:build !linux

package clustertest

import "syscall"

// attributes keep the terminal's Ctrl-C from a program.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
