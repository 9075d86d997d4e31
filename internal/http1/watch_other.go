//go:build !unix

package http1

import "net"

// isAbandoned cannot be told here: a client that has left is noticed when its
// answer is written.
func isAbandoned(net.Conn) bool { return false }
