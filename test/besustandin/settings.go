package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// settings are what the stand-in does something with.
type settings struct {
	dataPath, genesisFile, staticNodesFile, keyFile string
	storageFormat                                   string
	namesAllowed                                    bool // in enode URLs
	hosts                                           []string
	p2pHost                                         string // how others reach this node
	p2pPort                                         uint16
	http, ws, metrics                               endpoint
}

type endpoint struct {
	enabled bool
	host    string
	port    uint16
	apis    []string
}

// kinds are how the value of an option looks.
const (
	text   = "text"
	number = "number"
	yes    = "true or false"
	list   = "list"
)

// options are Besu's options that a network of validators may have use for, by
// the names of its documentation. All others are refused, as Besu refuses those
// that it does not know.
func options() map[string]string {
	out := make(map[string]string)
	for kind, names := range map[string]string{
		text: "config-file data-path genesis-file static-nodes-file node-private-key-file p2p-host p2p-interface logging identity " +
			"rpc-http-host rpc-ws-host metrics-host metrics-push-host metrics-push-prometheus-job rpc-http-authentication-credentials-file " +
			"rpc-http-authentication-jwt-public-key-file rpc-ws-authentication-credentials-file nat-method profile",
		number: "p2p-port max-peers network-id rpc-http-port rpc-ws-port metrics-port min-gas-price rpc-tx-feecap rpc-gas-cap rpc-max-logs-range " +
			"rpc-http-max-active-connections rpc-http-max-batch-size rpc-ws-max-active-connections rpc-ws-max-frame-size " +
			"rpc-http-max-request-content-length tx-pool-max-size tx-pool-limit-by-account-percentage tx-pool-retention-hours tx-pool-price-bump " +
			"tx-pool-min-gas-price tx-pool-max-future-by-sender target-gas-limit poa-block-txs-selection-max-time Xhttp-timeout-seconds " +
			"bonsai-historical-block-limit",
		yes: "Xdns-enabled Xdns-update-enabled p2p-enabled discovery-enabled rpc-http-enabled rpc-ws-enabled metrics-enabled " +
			"tx-pool-no-local-priority tx-pool-enable-save-restore revert-reason-enabled rpc-http-authentication-enabled " +
			"rpc-ws-authentication-enabled color-enabled remote-connections-limit-enabled version-compatibility-protection",
		list: "host-allowlist bootnodes rpc-http-api rpc-ws-api rpc-http-cors-origins metrics-category rpc-http-api-methods-no-auth",
	} {
		for name := range strings.FieldsSeq(names) {
			out[name] = kind
		}
	}
	for name := range choices() {
		out[name] = text
	}
	return out
}

// choices are the options of which Besu knows all values.
func choices() map[string][]string {
	return map[string][]string{
		"sync-mode":           {"FULL", "SNAP", "CHECKPOINT"},
		"data-storage-format": {"FOREST", "BONSAI", "X_BONSAI_ARCHIVE"},
		"tx-pool":             {"LAYERED", "SEQUENCED", "ENTERPRISE"},
		"metrics-protocol":    {"PROMETHEUS", "OPENTELEMETRY", "NONE"},
		"logging":             {"OFF", "ERROR", "WARN", "INFO", "DEBUG", "TRACE", "ALL"},
	}
}

// knownAPIs are the values of rpc-http-api.
func knownAPIs() []string {
	return strings.Fields("ADMIN DEBUG ETH IBFT MINER NET PERM PLUGINS QBFT TRACE TXPOOL WEB3")
}

// readSettings reads the arguments and the file that they name; arguments win.
func readSettings(args []string) (settings, error) {
	given, err := readArguments(args)
	if err != nil {
		return settings{}, err
	}
	if file, ok := given["config-file"]; ok {
		fromFile, err := readFile(fmt.Sprint(file))
		if err != nil {
			return settings{}, err
		}
		maps.Copy(fromFile, given)
		given = fromFile
	}
	return settingsOf(given)
}

func readArguments(args []string) (map[string]any, error) {
	out, known := make(map[string]any), options()
	for _, arg := range args {
		name, value, hasValue := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		kind, ok := known[name]
		if !ok || !strings.HasPrefix(arg, "--") {
			return nil, fmt.Errorf("Unknown option: '%s'", arg) //nolint:staticcheck // Besu's text
		}
		if !hasValue && kind == yes {
			value, hasValue = "true", true
		}
		if !hasValue {
			return nil, fmt.Errorf("Missing required parameter for option '--%s'", name) //nolint:staticcheck // Besu's text
		}
		var err error
		switch kind {
		case number:
			out[name], err = strconv.ParseInt(value, 10, 64)
		case yes:
			out[name], err = strconv.ParseBool(value)
		case list:
			out[name] = strings.Split(value, ",")
		default:
			out[name] = value
		}
		if err != nil {
			return nil, fmt.Errorf("Invalid value for option '--%s': '%s' is not a %s", name, value, kind) //nolint:staticcheck // Besu's text
		}
	}
	return out, nil
}

func readFile(path string) (map[string]any, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("Unable to read TOML configuration, file not found: %w", err) //nolint:staticcheck // Besu's text
	}
	out := make(map[string]any)
	if err := toml.Unmarshal(text, &out); err != nil {
		return nil, fmt.Errorf("Invalid TOML configuration: %w", err) //nolint:staticcheck // Besu's text
	}
	known := options()
	for _, name := range slices.Sorted(maps.Keys(out)) {
		kind, ok := known[name]
		if !ok {
			return nil, fmt.Errorf("Unknown option in TOML configuration file: %s", name) //nolint:staticcheck // Besu's text
		}
		value, err := valueOf(kind, out[name])
		if err != nil {
			return nil, fmt.Errorf("Invalid value for option '%s' in the TOML configuration file: %w", name, err) //nolint:staticcheck // Besu's text
		}
		out[name] = value
	}
	return out, nil
}

func valueOf(kind string, value any) (any, error) {
	switch is := value.(type) {
	case string:
		if kind == text {
			return is, nil
		}
		if kind == list {
			return []string{is}, nil
		}
	case int64:
		if kind == number {
			return is, nil
		}
	case float64:
		if kind == number {
			return int64(is), nil
		}
	case bool:
		if kind == yes {
			return is, nil
		}
	case []any:
		if kind == list {
			return texts(is)
		}
	}
	return nil, fmt.Errorf("%v is not a %s", value, kind)
}

func texts(values []any) ([]string, error) {
	out := make([]string, 0, len(values))
	for _, value := range values {
		one, ok := value.(string)
		if !ok {
			return nil, fmt.Errorf("%v is not a text", value)
		}
		out = append(out, one)
	}
	return out, nil
}

func settingsOf(given map[string]any) (settings, error) {
	for name, allowed := range choices() {
		if value, ok := given[name].(string); ok && !slices.Contains(allowed, strings.ToUpper(value)) {
			return settings{}, fmt.Errorf("Invalid value for option '--%s': expected one of %v but was '%s'", name, allowed, value) //nolint:staticcheck // Besu's text
		}
	}
	r := reader{given: given}
	out := settings{
		dataPath: r.text("data-path", ""), genesisFile: r.text("genesis-file", ""), keyFile: r.text("node-private-key-file", ""),
		staticNodesFile: r.text("static-nodes-file", ""), storageFormat: strings.ToUpper(r.text("data-storage-format", "BONSAI")),
		namesAllowed: r.yes("Xdns-enabled") && r.yes("Xdns-update-enabled"), hosts: r.list("host-allowlist", "localhost", "127.0.0.1"),
		p2pHost: r.text("p2p-host", "127.0.0.1"), p2pPort: r.port("p2p-port", 30303),
		http:    endpoint{r.yes("rpc-http-enabled"), r.text("rpc-http-host", "127.0.0.1"), r.port("rpc-http-port", 8545), r.list("rpc-http-api", "ETH", "NET", "WEB3")},
		ws:      endpoint{r.yes("rpc-ws-enabled"), r.text("rpc-ws-host", "127.0.0.1"), r.port("rpc-ws-port", 8546), r.list("rpc-ws-api", "ETH", "NET", "WEB3")},
		metrics: endpoint{r.yes("metrics-enabled") && r.text("metrics-protocol", "PROMETHEUS") == "PROMETHEUS", r.text("metrics-host", "127.0.0.1"), r.port("metrics-port", 9545), nil},
	}
	for _, api := range slices.Concat(out.http.apis, out.ws.apis) {
		if !slices.Contains(knownAPIs(), api) {
			return settings{}, fmt.Errorf("Invalid value for option '--rpc-http-api': %s is not an API", api) //nolint:staticcheck // Besu's text
		}
	}
	for _, name := range strings.Fields("data-path genesis-file node-private-key-file static-nodes-file") {
		if r.text(name, "") == "" {
			return settings{}, fmt.Errorf("--%s is needed by this stand-in", name)
		}
	}
	return out, errors.Join(r.errs...)
}

// reader reads options whose kinds are checked already.
type reader struct {
	given map[string]any
	errs  []error
}

func (r *reader) text(name, otherwise string) string {
	if value, ok := r.given[name].(string); ok {
		return value
	}
	return otherwise
}

func (r *reader) yes(name string) bool {
	value, _ := r.given[name].(bool) // false where it is left out
	return value
}

func (r *reader) list(name string, otherwise ...string) []string {
	if value, ok := r.given[name].([]string); ok {
		return value
	}
	return otherwise
}

func (r *reader) port(name string, otherwise uint16) uint16 {
	value, ok := r.given[name].(int64)
	switch {
	case !ok:
		return otherwise
	case value < 1 || value > 65535:
		r.errs = append(r.errs, fmt.Errorf("Invalid value for option '--%s': %d is not a port", name, value)) //nolint:staticcheck // Besu's text
		return 0
	}
	return uint16(value)
}
