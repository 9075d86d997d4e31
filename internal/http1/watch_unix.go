//go:build unix

package http1

import (
	"errors"
	"net"
	"syscall"
)

// isAbandoned says whether the client has ended the connection. It looks
// without waiting and takes nothing away.
func isAbandoned(c net.Conn) bool {
	tcp, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	var buffer [1]byte
	n, peekErr := 0, error(nil)
	// Control does not wait for a read in progress, as Read would.
	err = raw.Control(func(fd uintptr) {
		n, _, peekErr = syscall.Recvfrom(int(fd), buffer[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	isAlive := n > 0 || errors.Is(peekErr, syscall.EAGAIN) || errors.Is(peekErr, syscall.EWOULDBLOCK) || errors.Is(peekErr, syscall.EINTR)
	return err != nil || !isAlive
}
