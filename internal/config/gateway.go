package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/gatewayapp"
)

// GatewayFile is the gateway's configuration file. Its shape is that of eRPC.
type GatewayFile struct {
	// Least severe kind of log line that is written: debug, info, warn or error.
	LogLevel string `yaml:"logLevel"`
	// Name of the installation, for database.sharedState.
	ClusterKey string `yaml:"clusterKey,omitempty"`
	// The HTTP front.
	Server ServerFile `yaml:"server"`
	// The endpoint of operators, POST /admin.
	Admin *AdminFile `yaml:"admin,omitempty"`
	// What GET on the front answers.
	HealthCheck HealthCheckFile `yaml:"healthCheck"`
	// Metrics, probes and operator endpoints.
	Metrics MetricsFile `yaml:"metrics"`
	// Traces of requests, exported with OTLP.
	Tracing *TracingFile `yaml:"tracing,omitempty"`
	// Projects: each with its own networks, nodes and rules for clients.
	Projects []ProjectFile `yaml:"projects"`
	// What is kept of answers, and where.
	Database DatabaseFile `yaml:"database"`
	// How many requests are let through.
	RateLimiters *RateLimitersFile `yaml:"rateLimiters,omitempty"`
}

// ServerFile is the section server.
type ServerFile struct {
	// Address to listen on.
	HTTPHostV4 string `yaml:"httpHostV4"`
	// Port to listen on.
	HTTPPort int `yaml:"httpPort"`
	// Another name of httpPort, which wins.
	HTTPPortV4 int `yaml:"httpPortV4,omitempty"`
	// Largest request body, in bytes or with a unit (KB, MB).
	MaxBodySize ByteSize `yaml:"maxBodySize"`
	// Largest number of requests in one batch.
	MaxBatchSize int `yaml:"maxBatchSize"`
	// Whether bodies and answers may be coded with gzip or zstd.
	EnableGzip bool `yaml:"enableGzip"`
	// Headers that tell where an answer came from: all (X-ERPC-Cache, -Version, -Duration; of single answers also -Upstream, -Attempts, -Finality, -Age), summary (the first two) or off.
	ExecutionHeaders string `yaml:"executionHeaders"`
	// Header fields added to every answer, such as Strict-Transport-Security. Those of connections and the gateway's own are refused.
	ResponseHeaders map[string]string `yaml:"responseHeaders,omitempty"`
	// Time for one HTTP request, a batch as a whole.
	MaxTimeout time.Duration `yaml:"maxTimeout"`
	// Time in which a client sends a request, header and body.
	ReadTimeout time.Duration `yaml:"readTimeout"`
	// Time in which a client takes an answer that is ready.
	WriteTimeout time.Duration `yaml:"writeTimeout"`
	// Proxies, as addresses or CIDRs, whose word about the address of a client is taken.
	TrustedIPForwarders []string `yaml:"trustedIPForwarders,omitempty"` //nolint:tagliatelle // as eRPC spells it
	// Header fields in which they tell it, the first one present holds; without any, X-Forwarded-For.
	TrustedIPHeaders []string `yaml:"trustedIPHeaders,omitempty"` //nolint:tagliatelle // as eRPC spells it
	// WebSocket connections of clients.
	WebSocket WebSocketFile `yaml:"webSocket"`
	// TLS for clients, and whether they need a certificate.
	TLS *TLSServerFile `yaml:"tls,omitempty"`
	// Hosts that stand for a project or a network.
	Aliasing AliasingFile `yaml:"aliasing,omitempty"`
	// How long requests are still taken after the signal to stop, while /readyz fails already.
	WaitBeforeShutdown time.Duration `yaml:"waitBeforeShutdown"`
	// How long requests in flight may take after that.
	WaitAfterShutdown time.Duration `yaml:"waitAfterShutdown"`
}

// AliasingFile is the section server.aliasing.
type AliasingFile struct {
	// Rules, of which the first that means a request's host holds.
	Rules []AliasingRuleFile `yaml:"rules,omitempty"`
}

// AliasingRuleFile says what requests to a host mean, so that their path need not.
type AliasingRuleFile struct {
	// Host name without port; "*" stands for any text.
	MatchDomain string `yaml:"matchDomain"`
	// Id of the project.
	ServeProject string `yaml:"serveProject,omitempty"`
	// Kind of chain: evm.
	ServeArchitecture string `yaml:"serveArchitecture,omitempty"`
	// Chain id or alias of the network.
	ServeChain string `yaml:"serveChain,omitempty"`
}

// HealthCheckFile is the section healthCheck.
type HealthCheckFile struct {
	// How much is told: simple (one word), networks (and each network) or verbose (and each node).
	Mode string `yaml:"mode"`
}

// MetricsFile is the section metrics.
type MetricsFile struct {
	// Whether the endpoints are served; they always are, false is refused.
	Enabled bool `yaml:"enabled"`
	// Address to listen on.
	HostV4 string `yaml:"hostV4"`
	// Port to listen on.
	Port int `yaml:"port"`
	// TLS for operators, and whether they need a certificate. A key of ours: eRPC has none here.
	TLS *TLSServerFile `yaml:"tls,omitempty"`
}

// ProjectFile is one of the projects.
type ProjectFile struct {
	// First part of the request path: /<id>/evm/<chain id>.
	ID string `yaml:"id"`
	// Which web pages may call the project.
	CORS *CORSFile `yaml:"cors,omitempty"`
	// How clients are known; without it, every client is let in.
	Auth *AuthFile `yaml:"auth,omitempty"`
	// Methods that may be called, as patterns; they win over ignoreMethods and, alone, exclude all others.
	AllowMethods []string `yaml:"allowMethods,omitempty"`
	// Methods that may not be called, as patterns.
	IgnoreMethods []string `yaml:"ignoreMethods,omitempty"`
	// Header fields of clients that go on to the nodes; requests that differ in them share no answer, neither in flight nor in the cache. X-Request-Id, traceparent and tracestate go on anyway. Fields of connections, of the gateway and, with auth, Authorization are refused.
	ForwardHeaders []string `yaml:"forwardHeaders,omitempty"`
	// Budget of all requests to the project, of those under rateLimiters.
	RateLimitBudget string `yaml:"rateLimitBudget,omitempty"`
	// Which directives (X-ERPC-... header fields, query parameters) clients may set: a pattern of their names, such as retry-*.
	AllowClientDirectives string `yaml:"allowClientDirectives,omitempty"`
	// What holds for each network that does not say it itself, with the keys of networks[]: key by key in sections, lists as a whole.
	NetworkDefaults Inherited `yaml:"networkDefaults,omitempty"`
	// What holds for each node that does not say it itself, with the keys of upstreams[]: key by key in sections, lists as a whole.
	UpstreamDefaults Inherited `yaml:"upstreamDefaults,omitempty"`
	// How closely the nodes' answers are looked at on each network that does not say it itself, with the keys of networks[].integrity.
	Integrity Inherited `yaml:"integrity,omitempty"`
	// Networks, each reached by its chain id or its alias.
	Networks []NetworkFile `yaml:"networks"`
	// Nodes of all networks, for each network the preferred one first.
	Upstreams []UpstreamFile `yaml:"upstreams"`
}

// CORSFile is the section cors of a project. What it leaves out keeps its default.
type CORSFile struct {
	// Origins, such as https://app.example.org or https://*.example.org, or "*" for every page.
	AllowedOrigins []string `yaml:"allowedOrigins,omitempty"`
	// HTTP methods that pages may use.
	AllowedMethods []string `yaml:"allowedMethods,omitempty"`
	// Request header fields that pages may set.
	AllowedHeaders []string `yaml:"allowedHeaders,omitempty"`
	// Seconds for which a browser may remember the answer.
	MaxAge int `yaml:"maxAge,omitempty"`
}

// NetworkFile is one of a project's networks.
type NetworkFile struct {
	// Kind of chain: evm.
	Architecture string `yaml:"architecture"`
	// Another name of the network in paths: /<project>/<alias>.
	Alias string `yaml:"alias,omitempty"`
	// Budget of all requests to the network, of those under rateLimiters.
	RateLimitBudget string `yaml:"rateLimitBudget,omitempty"`
	// Facts of the chain.
	EVM EVMNetworkFile `yaml:"evm"`
	// Which blocks cannot change any more: auto (ask the first node), instant (QBFT, IBFT2), tag or depth.
	Finality chain.Mode `yaml:"finality"`
	// How many blocks must follow a final one, with finality depth.
	FinalityDepth uint64 `yaml:"finalityDepth"`
	// Directives that hold for every request that does not say otherwise.
	DirectiveDefaults DirectiveDefaultsFile `yaml:"directiveDefaults,omitempty"`
	// How closely the nodes' answers are looked at.
	Integrity IntegrityFile `yaml:"integrity,omitempty"`
	// Answers that are given without a node.
	StaticResponses []StaticResponseFile `yaml:"staticResponses,omitempty"`
	// What is known of methods beside the gateway's own table, which always holds for the methods that are not named.
	Methods *MethodsFile `yaml:"methods,omitempty"`
	// Rules of how requests are tried, the first that matches; a list or one alone.
	Failsafe []FailsafeFile `yaml:"failsafe,omitempty"`
}

// DirectiveDefaultsFile is a network's section directiveDefaults.
type DirectiveDefaultsFile struct {
	// Whether all other nodes are asked when one answers with nothing, and not just one more of them.
	RetryEmpty bool `yaml:"retryEmpty,omitempty"`
	// Whether a transaction that is pending is asked for again.
	RetryPending bool `yaml:"retryPending,omitempty"`
	// Nodes that are asked, by id or tag.
	UseUpstream string `yaml:"useUpstream,omitempty"`
	// Whether block tags go to the nodes as they are.
	SkipInterpolation bool `yaml:"skipInterpolation,omitempty"`
	// Whether one node's answer is enough where several would be compared.
	SkipConsensus bool `yaml:"skipConsensus,omitempty"`
	// Whether a range of blocks must not end before it begins, and waits for an end that is about to be there; left out: true.
	EnforceGetLogsBlockRange *bool `yaml:"enforceGetLogsBlockRange,omitempty"`
	// Whether the root of a block's transactions is recomputed; left out: a block must only not come without transactions where the root says that it has some.
	ValidateTransactionsRoot *bool `yaml:"validateTransactionsRoot,omitempty"`
	// Whether the hashes and the filter in a block's header must have their sizes.
	ValidateHeaderFieldLengths bool `yaml:"validateHeaderFieldLengths,omitempty"`
	// Whether the hashes of a block's transactions must have their size and stand there once each.
	ValidateTransactionFields bool `yaml:"validateTransactionFields,omitempty"`
	// Whether a block's transactions must name that block and their place in it.
	ValidateTransactionBlockInfo bool `yaml:"validateTransactionBlockInfo,omitempty"`
	// Whether the logs of a block's receipts must be numbered from 0 without a gap, those of one receipt without a gap, and those of a search upwards.
	EnforceLogIndexStrictIncrements bool `yaml:"enforceLogIndexStrictIncrements,omitempty"`
	// Whether each transaction of a block must have one receipt at most.
	ValidateTxHashUniqueness bool `yaml:"validateTxHashUniqueness,omitempty"`
	// Whether the receipts of a block must stand in the order of its transactions, without a gap.
	ValidateTransactionIndex bool `yaml:"validateTransactionIndex,omitempty"`
	// Whether logs must have addresses of 20 bytes and up to four topics of 32, and name the transaction and the block of their receipt.
	ValidateLogFields bool `yaml:"validateLogFields,omitempty"`
	// Whether a receipt's filter must be empty exactly when it has no logs.
	ValidateLogsBloomEmptiness bool `yaml:"validateLogsBloomEmptiness,omitempty"`
	// Whether the filters of receipts are recomputed from their logs.
	ValidateLogsBloomMatch bool `yaml:"validateLogsBloomMatch,omitempty"`
	// Whether receipts must be those of the transactions in their block, which is asked for unless it was seen just before.
	ValidateReceiptTransactionMatch bool `yaml:"validateReceiptTransactionMatch,omitempty"`
	// Whether a receipt must have the address of a contract exactly when its transaction has no recipient.
	ValidateContractCreation bool `yaml:"validateContractCreation,omitempty"`
}

// EVMNetworkFile is a network's section evm.
type EVMNetworkFile struct {
	// Chain id every node must show.
	ChainID uint64 `yaml:"chainId"`
	// Hash of block 0 every node must show; empty takes that of the first node reached.
	Genesis string `yaml:"genesis"`
	// Most blocks one eth_getLogs may span; 0 is no bound.
	GetLogsMaxAllowedRange *int `yaml:"getLogsMaxAllowedRange,omitempty"`
	// Most addresses one eth_getLogs may name; 0 is no bound.
	GetLogsMaxAllowedAddresses *int `yaml:"getLogsMaxAllowedAddresses,omitempty"`
	// Most topics one eth_getLogs may name, those of all positions counted; 0 is no bound.
	GetLogsMaxAllowedTopics *int `yaml:"getLogsMaxAllowedTopics,omitempty"`
	// Whether an eth_getLogs that a node finds too large is asked for in pieces; left out: true.
	GetLogsSplitOnError *bool `yaml:"getLogsSplitOnError,omitempty"`
	// How many pieces of one eth_getLogs are asked for at a time; left out: 8.
	GetLogsSplitConcurrency *int `yaml:"getLogsSplitConcurrency,omitempty"`
	// Whether a trace_filter that a node finds too large is asked for in pieces; left out: true.
	TraceFilterSplitOnError *bool `yaml:"traceFilterSplitOnError,omitempty"`
	// How many pieces of one trace_filter are asked for at a time; left out: 4.
	TraceFilterSplitConcurrency *int `yaml:"traceFilterSplitConcurrency,omitempty"`
	// To how many nodes a signed transaction is sent at once; left out: 1. Not a key of eRPC.
	BroadcastTransactions *int `yaml:"broadcastTransactions,omitempty"`
	// What is checked of heads and ranges.
	Integrity EVMIntegrityFile `yaml:"integrity,omitempty"`
	// How old the known newest block may be that is written in place of latest where every block is final at once, so that all who ask before the next block share an answer; 0s leaves latest as it is. Not in eRPC.
	LatestMaxAge *time.Duration `yaml:"latestMaxAge,omitempty"`
}

// DatabaseFile is the section database.
type DatabaseFile struct {
	// The cache of answers that can no longer change.
	Cache CacheFile `yaml:"evmJsonRpcCache"`
	// What gateways tell each other.
	SharedState *SharedStateFile `yaml:"sharedState,omitempty"`
}

// DefaultGatewayFile is the file that says what the defaults are.
func DefaultGatewayFile() GatewayFile {
	d := gatewayapp.Default()
	host := "0.0.0.0"
	return GatewayFile{
		LogLevel: "info",
		Server: ServerFile{
			HTTPHostV4: host, HTTPPort: portOf(d.Listen), MaxBodySize: ByteSize(d.Front.MaxBodyBytes), MaxBatchSize: d.Front.MaxBatch,
			WebSocket:  webSocketFile(d),
			EnableGzip: d.Front.Compression, ExecutionHeaders: string(d.Front.ExecutionHeaders),
			MaxTimeout: d.Front.RequestTimeout, ReadTimeout: d.ReadTimeout, WriteTimeout: d.Front.AnswerTimeout,
			WaitBeforeShutdown: d.WaitBeforeShutdown, WaitAfterShutdown: d.DrainTimeout,
		},
		HealthCheck: HealthCheckFile{Mode: string(d.Front.Health)},
		Metrics:     MetricsFile{Enabled: true, HostV4: host, Port: portOf(d.AdminListen)},
		Database:    DatabaseFile{Cache: defaultCacheFile()},
	}
}

func portOf(address string) int {
	_, port, _ := net.SplitHostPort(address)
	n, _ := strconv.Atoi(port)
	return n
}

// ByteSize is a number of bytes. In a file it is a number, or a text with one
// of the units B, KB, MB and GB, each 1,024 times the one before.
type ByteSize int64

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *ByteSize) UnmarshalText(text []byte) error {
	s := strings.ToUpper(strings.TrimSpace(string(text)))
	factor := int64(1)
	for _, unit := range []struct {
		name   string
		factor int64
	}{{"KB", 1 << 10}, {"MB", 1 << 20}, {"GB", 1 << 30}, {"B", 1}} {
		if rest, ok := strings.CutSuffix(s, unit.name); ok {
			s, factor = strings.TrimSpace(rest), unit.factor
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > (1<<62)/factor {
		return fmt.Errorf("%q is no size: write a number of bytes, or a number with KB, MB or GB", text)
	}
	*b = ByteSize(n * factor)
	return nil
}

// String writes the size with the largest unit that fits.
func (b ByteSize) String() string {
	for _, unit := range []struct {
		name   string
		factor ByteSize
	}{{"GB", 1 << 30}, {"MB", 1 << 20}, {"KB", 1 << 10}} {
		if b >= unit.factor && b%unit.factor == 0 {
			return strconv.FormatInt(int64(b/unit.factor), 10) + unit.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// GatewaySections is the gateway's part of the configuration reference. Root
// is the directory of the module's sources.
func GatewaySections(root string) []Section {
	return []Section{{
		Title:    "The gateway's file",
		Intro:    "Read by `gateway serve --config FILE`. Flags win over it. `gateway check-config FILE` tells what is wrong\nwith it, `gateway print-config --config FILE` what is in force. Files for eRPC load as they stand: keys of\neRPC that are not in this table are warnings that say what happens instead. `gateway schema` prints\nthe file's JSON Schema.",
		Root:     root,
		Defaults: DefaultGatewayFile(),
	}}
}
