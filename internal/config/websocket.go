package config

import (
	"github.com/slipwayhq/slipway/internal/gatewayapp"
	"github.com/slipwayhq/slipway/internal/secret"
)

// WebSocketFile is the section server.webSocket. eRPC has none.
type WebSocketFile struct {
	// Largest number of connections at a time.
	MaxConnections int `yaml:"maxConnections"`
	// Largest number of subscriptions on one connection.
	MaxSubscriptions int `yaml:"maxSubscriptions"`
}

// webSocketFile is the section that says what the program holds.
func webSocketFile(app gatewayapp.Config) WebSocketFile {
	return WebSocketFile{MaxConnections: app.Sockets.MaxConnections, MaxSubscriptions: app.Subscriptions.MaxPerClient}
}

func (f WebSocketFile) apply(app *gatewayapp.Config, r *report) {
	for key, value := range map[string]int{"maxConnections": f.MaxConnections, "maxSubscriptions": f.MaxSubscriptions} {
		if value <= 0 {
			r.fail("server.webSocket."+key, "must be more than zero")
		}
	}
	app.Sockets.MaxConnections, app.Subscriptions.MaxPerClient = f.MaxConnections, f.MaxSubscriptions
}

// checkWebSocket says what is wrong with the URL of a node's WebSocket. Its
// errors never show it.
func checkWebSocket(path string, url secret.String, r *report) {
	if url.IsEmpty() {
		return
	}
	if err := checkURL(url, "ws", "wss"); err != nil {
		r.fail(path+".websocket", "%s", err)
	}
}
