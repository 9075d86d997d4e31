package embedpg

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/slipwayhq/slipway/internal/lifecycle"
)

// choosePort returns the port asked for if it is free, else the one remembered
// from the last start, else any free one, which it remembers.
func choosePort(ctx context.Context, wanted int, remembered string) (int, error) {
	if wanted != 0 {
		return probePort(ctx, wanted)
	}
	if text, err := os.ReadFile(remembered); err == nil {
		if last, err := strconv.Atoi(string(text)); err == nil && last > 0 && last < 1<<16 {
			if port, err := probePort(ctx, last); err == nil {
				return port, nil
			}
		}
	}
	port, err := probePort(ctx, 0)
	if err != nil {
		return 0, err
	}
	if err := os.WriteFile(remembered, []byte(strconv.Itoa(port)), 0o600); err != nil {
		return 0, fmt.Errorf("remember the port of PostgreSQL: %w", err)
	}
	return port, nil
}

// probePort says whether the port can be listened on, and which one it is when
// 0 was asked for. Another program may still take it before PostgreSQL does;
// then PostgreSQL's own message names it.
func probePort(ctx context.Context, port int) (int, error) {
	listener, err := lifecycle.Listen(ctx, fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return 0, fmt.Errorf("port of PostgreSQL: %w", err)
	}
	defer listener.Close()
	addr, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("port of PostgreSQL: unexpected address %s", listener.Addr())
	}
	return addr.Port, nil
}
