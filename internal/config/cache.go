package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slipwayhq/slipway/internal/cache"
	"github.com/slipwayhq/slipway/internal/gatewayapp"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/redisconn"
	"github.com/slipwayhq/slipway/internal/secret"
)

// CacheFile is the section database.evmJsonRpcCache.
type CacheFile struct {
	// Stores, at most one of each driver. Without any, the default memory store is used.
	Connectors []ConnectorFile `yaml:"connectors"`
	// What is kept, where and for how long; of the policies that mean an answer the first of each store holds. Without any, every store keeps what cannot change.
	Policies []CachePolicyFile `yaml:"policies,omitempty"`
	// What Redis holds compressed; in memory nothing is.
	Compression CompressionFile `yaml:"compression"`
	// Whether each project has a cache of its own. Not in eRPC.
	IsolateProjects bool `yaml:"isolateProjects"`
}

// ConnectorFile is one store.
type ConnectorFile struct {
	// Name of the store in this file.
	ID string `yaml:"id"`
	// Kind of the store: memory or redis.
	Driver string `yaml:"driver"`
	// Settings of a memory store.
	Memory MemoryFile `yaml:"memory,omitempty"`
	// Settings of a redis store.
	Redis RedisFile `yaml:"redis,omitempty"`
}

// MemoryFile is a memory store.
type MemoryFile struct {
	// Size of the store, in bytes or with a unit (KB, MB).
	MaxTotalSize ByteSize `yaml:"maxTotalSize"`
}

// CachePolicyFile is one policy. What it leaves out means all.
type CachePolicyFile struct {
	// Name of the store; without it every store.
	Connector string `yaml:"connector,omitempty"`
	// Projects the policy is for: names with *, joined by |. Not in eRPC.
	Project string `yaml:"project,omitempty"`
	// Networks, such as evm:1 or evm:*.
	Network string `yaml:"network,omitempty"`
	// Methods: names with *, joined by |.
	Method string `yaml:"method,omitempty"`
	// Parameters by position: texts with *, joined by |, or comparisons of numbers such as >=0x10.
	Params []string `yaml:"params,omitempty"`
	// Kind of data: finalized (also when it is left out), unfinalized, realtime or unknown.
	Finality string `yaml:"finality,omitempty"`
	// Empty answers ("0x", "", [], {}): ignore, allow or only. Left out: ignore. null is never kept.
	Empty string `yaml:"empty,omitempty"`
	// Whether the policy is for reading (get), keeping (set) or both.
	AppliesTo string `yaml:"appliesTo,omitempty"`
	// Least size of an answer.
	MinItemSize ByteSize `yaml:"minItemSize,omitempty"`
	// Largest size of an answer.
	MaxItemSize ByteSize `yaml:"maxItemSize,omitempty"`
	// How long an answer is kept: a time, or a section. 0 is for ever; what may still change is kept for 10 minutes at most, realtime answers until the next block.
	TTL CacheTTL `yaml:"ttl,omitempty"`
}

// CacheTTL is a time, or a multiple of the time between blocks. In a file it is
// a duration, or a section.
type CacheTTL struct {
	// Time while the time between blocks is not known.
	Fallback time.Duration `yaml:"fallback,omitempty"`
	// Multiple of the time between blocks.
	BlockTimeMultiplier float64 `yaml:"blockTimeMultiplier,omitempty"`
}

// UnmarshalText reads a duration that stands alone.
func (t *CacheTTL) UnmarshalText(text []byte) error {
	d, err := parseDuration(string(text))
	if err == nil {
		*t = CacheTTL{Fallback: d}
	}
	return err
}

// MarshalYAML writes a time alone if there is nothing else.
func (t CacheTTL) MarshalYAML() (any, error) {
	if t.BlockTimeMultiplier == 0 {
		return t.Fallback.String(), nil
	}
	type plain CacheTTL
	return plain(t), nil
}

// CompressionFile is the section compression of the cache.
type CompressionFile struct {
	// Whether values are compressed.
	Enabled bool `yaml:"enabled"`
	// Method of compression: zstd.
	Algorithm string `yaml:"algorithm"`
	// Level: fastest, default, better or best.
	ZstdLevel string `yaml:"zstdLevel"`
	// Size in bytes from which on values are compressed.
	Threshold int `yaml:"threshold"`
}

// RedisFile is a Redis store.
type RedisFile struct {
	// URL: redis://user:password@host:port/db, rediss:// with TLS; never printed.
	URI secret.String `yaml:"uri"`
	// Time for one use of Redis; a slower answer is a miss.
	Timeout time.Duration `yaml:"timeout"`
	// Another name of timeout; timeout wins.
	GetTimeout time.Duration `yaml:"getTimeout,omitempty"`
	// Instead of uri: host:port.
	Addr string `yaml:"addr,omitempty"`
	// The user; wins over that of uri.
	Username string `yaml:"username,omitempty"`
	// The password; wins over that of uri; never printed.
	Password secret.String `yaml:"password,omitempty"`
	// File with the password, in place of password. It is read for each new connection: a password that changes needs no restart. Not in eRPC.
	PasswordFile string `yaml:"passwordFile,omitempty"`
	// Instead of uri: the number of the database.
	DB int `yaml:"db,omitempty"`
	// How connections are secured.
	TLS RedisTLSFile `yaml:"tls,omitempty"`
	// Largest number of connections; left out: 10 for each processor.
	ConnPoolSize int `yaml:"connPoolSize,omitempty"`
	// Instead of uri: how the master of a replicated Redis is found. Not in eRPC.
	Sentinel SentinelFile `yaml:"sentinel,omitempty"`
	// Instead of uri: some nodes of a Redis Cluster, host:port. Not in eRPC.
	Cluster []string `yaml:"cluster,omitempty"`
	// Text before every key. Not in eRPC.
	KeyPrefix string `yaml:"keyPrefix,omitempty"`
	// How long an answer is kept at most, also one with ttl 0. Not in eRPC.
	MaxTTL time.Duration `yaml:"maxTtl,omitempty"`
}

// RedisTLSFile is the section tls of a Redis store.
type RedisTLSFile struct {
	// Whether TLS is used; with rediss:// it always is.
	Enabled bool `yaml:"enabled,omitempty"`
	// File with the client's certificate (PEM).
	CertFile string `yaml:"certFile,omitempty"`
	// File with the client's key (PEM).
	KeyFile string `yaml:"keyFile,omitempty"`
	// File with the certificates to trust instead of the system's (PEM).
	CAFile string `yaml:"caFile,omitempty"`
	// Name in the server's certificate, if it is not that of the address. Not in eRPC.
	ServerName string `yaml:"serverName,omitempty"`
	// Whether any certificate is taken: whoever is in between can then read along.
	InsecureSkipVerify bool `yaml:"insecureSkipVerify,omitempty"`
}

// SentinelFile is the section sentinel of a Redis store.
type SentinelFile struct {
	// Addresses of the sentinels, host:port.
	Addresses []string `yaml:"addresses,omitempty"`
	// Name under which they watch the master.
	Master string `yaml:"master,omitempty"`
	// The user for the sentinels themselves.
	Username string `yaml:"username,omitempty"`
	// The password for the sentinels themselves; never printed.
	Password secret.String `yaml:"password,omitempty"`
}

// defaultCacheFile says what the defaults of the section are.
func defaultCacheFile() CacheFile {
	c := cache.DefaultCompression()
	return CacheFile{Compression: CompressionFile{Enabled: c.Enabled, Algorithm: "zstd", ZstdLevel: c.Level, Threshold: c.Threshold}}
}

const cachePath = "database.evmJsonRpcCache"

func (c CacheFile) apply(cfg *gatewayapp.CacheConfig, r *report) {
	layers := map[string]cache.Layer{}
	seen := map[string]bool{}
	for i, connector := range c.Connectors {
		path := cachePath + ".connectors[" + strconv.Itoa(i) + "]"
		if seen[connector.Driver] {
			r.fail(path+".driver", "a second %s store", connector.Driver)
		}
		seen[connector.Driver] = true
		switch connector.Driver {
		case "memory": // it stands in front of Redis in any case
			layers[connector.ID] = cache.InMemory
			if connector.Memory.MaxTotalSize > 0 {
				cfg.MemoryBytes = int64(connector.Memory.MaxTotalSize)
			}
		case "redis":
			layers[connector.ID] = cache.InRedis
			connector.Redis.apply(path+".redis", &cfg.Redis, r)
		default:
			r.fail(path+".driver", "must be memory or redis, is %q", connector.Driver)
		}
	}
	c.Compression.apply(&cfg.Redis.Compression, r)
	cfg.OwnPerProject = c.IsolateProjects
	for i, p := range c.Policies {
		policy := p.policy(cachePath+".policies["+strconv.Itoa(i)+"]", layers, c.hasMemoryPolicy(layers), r)
		cfg.Policies = append(cfg.Policies, policy)
	}
}

// hasMemoryPolicy says whether a policy names the store in memory.
func (c CacheFile) hasMemoryPolicy(layers map[string]cache.Layer) bool {
	return slices.ContainsFunc(c.Policies, func(p CachePolicyFile) bool {
		layer, ok := layers[p.Connector]
		return ok && p.Connector != "" && layer == cache.InMemory
	})
}

func (c CompressionFile) apply(out *cache.Compression, r *report) {
	if c.Algorithm != "zstd" {
		r.fail(cachePath+".compression.algorithm", "must be zstd, is %q", c.Algorithm)
	}
	*out = cache.Compression{Enabled: c.Enabled, Level: c.ZstdLevel, Threshold: c.Threshold}
	if err := out.Validate(); err != nil {
		r.fail(cachePath+".compression", "%s", err)
	}
}

// policy makes a policy. A memory store that no policy names follows what holds
// for Redis, in front of which it stands.
func (p CachePolicyFile) policy(path string, layers map[string]cache.Layer, hasMemory bool, r *report) cache.Policy {
	out := cache.Policy{
		Project: p.pattern(path+".project", p.Project, r), Network: p.pattern(path+".network", p.Network, r), Method: p.pattern(path+".method", p.Method, r),
		NoGet: p.AppliesTo == "set", NoSet: p.AppliesTo == "get",
		MinSize: int(p.MinItemSize), MaxSize: int(p.MaxItemSize),
		TTL: cache.TTL{Time: p.TTL.Fallback, Blocks: p.TTL.BlockTimeMultiplier},
	}
	if p.Connector != "" {
		layer, ok := layers[p.Connector]
		if !ok {
			r.fail(path+".connector", "there is no connector with the id %q", p.Connector)
		}
		out.Layers = []cache.Layer{layer}
		if layer == cache.InRedis && !hasMemory {
			out.Layers = append(out.Layers, cache.InMemory)
		}
	}
	for i, text := range p.Params {
		pattern, err := cache.ParseParamPattern(text)
		if err != nil {
			r.fail(path+".params["+strconv.Itoa(i)+"]", "%s", err)
		}
		out.Params = append(out.Params, pattern)
	}
	if p.Finality != "" {
		if err := out.Finality.UnmarshalText([]byte(p.Finality)); err != nil {
			r.fail(path+".finality", "%s", err)
		}
	}
	if err := p.choices(&out); err != nil {
		r.fail(path, "%s", err)
	}
	if err := out.Validate(); err != nil {
		r.fail(path, "%s", err)
	}
	return out
}

func (p CachePolicyFile) pattern(path, text string, r *report) methods.Pattern {
	if text == "" {
		return methods.Pattern{}
	}
	pattern, err := methods.ParsePattern(text)
	if err != nil {
		r.fail(path, "%s", err)
	}
	return pattern
}

func (p CachePolicyFile) choices(out *cache.Policy) error {
	switch p.AppliesTo {
	case "", "both", "get", "set":
	default:
		return fmt.Errorf("appliesTo must be both, get or set, is %q", p.AppliesTo)
	}
	switch p.Empty {
	case "", "ignore":
		out.Empty = cache.IgnoreEmpty
	case "allow":
		out.Empty = cache.AllowEmpty
	case "only":
		out.Empty = cache.OnlyEmpty
	default:
		return fmt.Errorf("empty must be ignore, allow or only, is %q", p.Empty)
	}
	return nil
}

func (f RedisFile) apply(path string, cfg *cache.RedisConfig, r *report) {
	f.connect(path, &cfg.Conn, r)
	if f.MaxTTL > 0 {
		cfg.MaxTTL = f.MaxTTL
	}
}

// effective is the section that says what the program holds.
func (c CacheFile) effective(cfg gatewayapp.CacheConfig) CacheFile {
	ids := map[string]string{"memory": "memory", "redis": "redis"}
	for _, connector := range c.Connectors {
		if connector.ID != "" {
			ids[connector.Driver] = connector.ID
		}
	}
	compression := cfg.Redis.Compression
	out := CacheFile{
		Connectors:      []ConnectorFile{{ID: ids["memory"], Driver: "memory", Memory: MemoryFile{MaxTotalSize: ByteSize(cfg.MemoryBytes)}}},
		Policies:        c.Policies,
		Compression:     CompressionFile{Enabled: compression.Enabled, Algorithm: "zstd", ZstdLevel: compression.Level, Threshold: compression.Threshold},
		IsolateProjects: cfg.OwnPerProject,
	}
	if conn := cfg.Redis.Conn; conn.IsSet() {
		redis := redisFile(conn)
		redis.MaxTTL = cfg.Redis.MaxTTL
		out.Connectors = append(out.Connectors, ConnectorFile{ID: ids["redis"], Driver: "redis", Redis: redis})
	}
	return out
}

// redisFile is what connect reads.
func redisFile(conn redisconn.Config) RedisFile {
	out := RedisFile{
		URI: conn.URL, Timeout: conn.Timeout, Username: conn.Username, Password: conn.Password, PasswordFile: conn.PasswordFile,
		ConnPoolSize: conn.PoolSize, KeyPrefix: conn.KeyPrefix, Cluster: conn.Cluster,
		TLS: RedisTLSFile{
			Enabled: conn.TLS.Enabled, CAFile: conn.TLS.CAFile, CertFile: conn.TLS.CertFile, KeyFile: conn.TLS.KeyFile,
			ServerName: conn.TLS.ServerName, InsecureSkipVerify: conn.TLS.InsecureSkipVerify,
		},
		Sentinel: SentinelFile{
			Addresses: conn.Sentinel.Addresses, Master: conn.Sentinel.Master, Username: conn.Sentinel.Username, Password: conn.Sentinel.Password,
		},
	}
	if conn.URL.IsEmpty() {
		out.DB = conn.DB
	}
	return out
}

// connect fills in how Redis is reached. It is for every section of the file
// that has a Redis.
func (f RedisFile) connect(path string, conn *redisconn.Config, r *report) {
	conn.URL = f.URI
	if f.URI.IsEmpty() && f.Addr == "" {
		conn.DB = f.DB
	}
	conn.Sentinel = redisconn.Sentinel{
		Addresses: f.Sentinel.Addresses, Master: f.Sentinel.Master, Username: f.Sentinel.Username, Password: f.Sentinel.Password,
	}
	conn.Cluster = f.Cluster
	conn.Username, conn.Password, conn.PasswordFile = f.Username, f.Password, f.PasswordFile
	conn.PoolSize, conn.KeyPrefix = f.ConnPoolSize, f.KeyPrefix
	conn.TLS = redisconn.TLS{
		Enabled: f.TLS.Enabled, CAFile: f.TLS.CAFile, CertFile: f.TLS.CertFile, KeyFile: f.TLS.KeyFile,
		ServerName: f.TLS.ServerName, InsecureSkipVerify: f.TLS.InsecureSkipVerify,
	}
	if f.URI.IsEmpty() && f.Addr != "" {
		conn.URL = secret.New("redis://" + f.Addr + "/" + strconv.Itoa(f.DB))
	}
	if f.GetTimeout > 0 {
		conn.Timeout = f.GetTimeout
	}
	if f.Timeout > 0 {
		conn.Timeout = f.Timeout
	}
	if !conn.IsSet() || !conn.URL.IsEmpty() {
		if err := checkURL(conn.URL, "redis", "rediss"); err != nil {
			r.fail(path+".uri", "%s", err)
			return
		}
	}
	if err := conn.Validate(); err != nil {
		r.fail(path, "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
}
