package chaos

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// fault decides about one HTTP exchange. forward sends the request on and
// returns the answer; when the fault returns false, nothing was written and the
// request goes its usual way.
type fault func(w http.ResponseWriter, request []byte, forward func() []byte) bool

// startProxy puts a fault in front of a server and returns where it listens.
func startProxy(t *testing.T, target string, f fault) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	t.Cleanup(client.CloseIdleConnections)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		forward := func() []byte {
			resp, err := client.Post(target, "application/json", bytes.NewReader(body)) //nolint:noctx // what was begun shall end
			if err != nil {
				return nil
			}
			defer resp.Body.Close()
			answer, _ := io.ReadAll(resp.Body) // half an answer is one, too
			return answer
		}
		if f(w, body, forward) {
			return
		}
		answer := forward()
		if answer == nil {
			cut(w)
			return
		}
		reply(w, answer)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func reply(w http.ResponseWriter, answer []byte) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(answer) // the client may be gone
}

// cut ends the connection with a reset, as a killed process does.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // without it the client sees an orderly end
	}
	_ = conn.Close()
}

// sends says whether a request offers raw transactions.
func sends(request []byte) bool { return bytes.Contains(request, []byte("eth_sendRawTransaction")) }
