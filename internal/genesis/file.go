package genesis

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
)

// mixHash marks blocks of the Istanbul family of protocols; Besu expects it.
const mixHash = "0x63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365"

// File is a genesis file as Besu reads it. Build makes one, Parse reads any.
type File struct {
	Config        Config         `json:"config"`
	Nonce         Quantity       `json:"nonce"`
	Timestamp     Quantity       `json:"timestamp"`
	GasLimit      Quantity       `json:"gasLimit"`
	Difficulty    Quantity       `json:"difficulty"`
	MixHash       common.Hash    `json:"mixHash"`
	Coinbase      common.Address `json:"coinbase"`
	ParentHash    *common.Hash   `json:"parentHash,omitempty"`
	BaseFeePerGas *Quantity      `json:"baseFeePerGas,omitempty"`
	BlobGasUsed   *Quantity      `json:"blobGasUsed,omitempty"`
	ExcessBlobGas *Quantity      `json:"excessBlobGas,omitempty"`
	BeaconRoot    *common.Hash   `json:"parentBeaconBlockRoot,omitempty"`
	ExtraData     hexutil.Bytes  `json:"extraData"`
	Alloc         Alloc          `json:"alloc"`
}

// Config is the section of a genesis file that is not in the block's header,
// but for the forks, which decide which fields the header has.
type Config struct {
	ChainID             Number     `json:"chainId"`
	HomesteadBlock      *Number    `json:"homesteadBlock,omitempty"`
	EIP150Block         *Number    `json:"eip150Block,omitempty"`
	EIP155Block         *Number    `json:"eip155Block,omitempty"`
	EIP158Block         *Number    `json:"eip158Block,omitempty"`
	ByzantiumBlock      *Number    `json:"byzantiumBlock,omitempty"`
	ConstantinopleBlock *Number    `json:"constantinopleBlock,omitempty"`
	PetersburgBlock     *Number    `json:"petersburgBlock,omitempty"`
	IstanbulBlock       *Number    `json:"istanbulBlock,omitempty"`
	MuirGlacierBlock    *Number    `json:"muirGlacierBlock,omitempty"`
	BerlinBlock         *Number    `json:"berlinBlock,omitempty"`
	LondonBlock         *Number    `json:"londonBlock,omitempty"`
	ShanghaiTime        *Number    `json:"shanghaiTime,omitempty"`
	CancunTime          *Number    `json:"cancunTime,omitempty"`
	PragueTime          *Number    `json:"pragueTime,omitempty"`
	OsakaTime           *Number    `json:"osakaTime,omitempty"`
	ZeroBaseFee         bool       `json:"zeroBaseFee,omitempty"`
	ContractSizeLimit   *Number    `json:"contractSizeLimit,omitempty"`
	EVMStackSize        *Number    `json:"evmStackSize,omitempty"`
	QBFT                *BFTConfig `json:"qbft,omitempty"`
	IBFT2               *BFTConfig `json:"ibft2,omitempty"`
}

// BFTConfig is the section of the consensus protocol; times are in seconds.
type BFTConfig struct {
	BlockPeriodSeconds       Number  `json:"blockperiodseconds"`
	EpochLength              Number  `json:"epochlength"`
	RequestTimeoutSeconds    Number  `json:"requesttimeoutseconds"`
	EmptyBlockPeriodSeconds  *Number `json:"xemptyblockperiodseconds,omitempty"`
	ValidatorContractAddress string  `json:"validatorcontractaddress,omitempty"`
}

// Number is written as a JSON number, and read from one or from a string.
type Number uint64

// UnmarshalJSON reads 12, "12" and "0xc".
func (n *Number) UnmarshalJSON(text []byte) error {
	value, err := parseNumber(text)
	if err != nil {
		return err
	}
	if !value.IsUint64() {
		return fmt.Errorf("%s does not fit into 64 bits", text)
	}
	*n = Number(value.Uint64())
	return nil
}

// Quantity is written as Ethereum writes numbers, 0x and hex digits without
// leading zeros, and read as Number is.
type Quantity struct{ big.Int }

// NewQuantity makes a Quantity of a number.
func NewQuantity(value uint64) Quantity {
	var q Quantity
	q.SetUint64(value)
	return q
}

// MarshalJSON writes "0xc".
func (q Quantity) MarshalJSON() ([]byte, error) {
	return []byte(`"0x` + q.Text(16) + `"`), nil
}

// UnmarshalJSON reads 12, "12" and "0xc".
func (q *Quantity) UnmarshalJSON(text []byte) error {
	value, err := parseNumber(text)
	if err != nil {
		return err
	}
	q.Set(value)
	return nil
}

func parseNumber(text []byte) (*big.Int, error) {
	plain := strings.Trim(string(text), `"`)
	digits, base := plain, 10
	if hex, ok := strings.CutPrefix(strings.ToLower(plain), "0x"); ok {
		digits, base = cmp.Or(hex, "0"), 16
	}
	value, ok := new(big.Int).SetString(digits, base)
	if !ok || value.Sign() < 0 || strings.HasPrefix(digits, "+") {
		return nil, fmt.Errorf("%q is not a number, in decimal or with 0x in hex", plain)
	}
	return value, nil
}

// Build makes the genesis file of a network whose first validators these are.
// alloc is what is on the chain from the start.
func Build(p Params, validators []common.Address, alloc Alloc) (File, error) {
	p, err := p.Complete()
	if err != nil {
		return File{}, err
	}
	if len(validators) == 0 {
		return File{}, errors.New("a network needs at least one validator")
	}
	if twice, found := duplicate(validators); found {
		return File{}, fmt.Errorf("two validators have the same key: address %s", twice)
	}
	for _, address := range slices.SortedFunc(maps.Keys(alloc), compareAddresses) {
		if alloc[address].isEmpty() {
			return File{}, fmt.Errorf("the allocation of %s is empty: it needs a balance, a nonce, code or storage", address)
		}
	}
	extra, err := ExtraData(p.Consensus, sorted(validators))
	if err != nil {
		return File{}, err
	}
	fee := NewQuantity(p.baseFee())
	return File{
		Config: p.config(), Timestamp: NewQuantity(p.Timestamp), GasLimit: NewQuantity(p.GasLimit), Difficulty: NewQuantity(1),
		MixHash: common.HexToHash(mixHash), BaseFeePerGas: &fee, ExtraData: extra, Alloc: alloc,
	}, nil
}

func (p Params) config() Config {
	zero := func() *Number { return new(Number) }
	c := Config{
		ChainID: Number(p.ChainID), HomesteadBlock: zero(), EIP150Block: zero(), EIP155Block: zero(), EIP158Block: zero(),
		ByzantiumBlock: zero(), ConstantinopleBlock: zero(), PetersburgBlock: zero(), IstanbulBlock: zero(),
		MuirGlacierBlock: zero(), BerlinBlock: zero(), LondonBlock: zero(),
		ZeroBaseFee: p.GasPrice == 0, ContractSizeLimit: number(p.ContractSizeLimit), EVMStackSize: number(p.EVMStackSize),
	}
	// A fork by time is active at the genesis block when its time is not later.
	if p.Fork == Shanghai || p.Fork == Cancun {
		c.ShanghaiTime = zero()
	}
	if p.Fork == Cancun {
		c.CancunTime = zero()
	}
	section := &BFTConfig{
		BlockPeriodSeconds: Number(p.BlockPeriod), EpochLength: Number(p.EpochLength), RequestTimeoutSeconds: Number(p.RequestTimeout),
	}
	if p.EmptyBlockPeriod > 0 {
		section.EmptyBlockPeriodSeconds = number(p.EmptyBlockPeriod)
	}
	if p.Consensus == IBFT2 {
		c.IBFT2 = section
	} else {
		c.QBFT = section
	}
	return c
}

func number(value uint64) *Number {
	n := Number(value)
	return &n
}

// Consensus is the protocol of the file.
func (f File) Consensus() (Consensus, error) {
	switch {
	case f.Config.QBFT != nil:
		return QBFT, nil
	case f.Config.IBFT2 != nil:
		return IBFT2, nil
	default:
		return "", errors.New("the genesis file has neither a section qbft nor ibft2")
	}
}

// Sparse is the file with a placeholder for every account but keep: the form
// that is small enough for one ConfigMap, to be filled by Fill.
func (f File) Sparse(keep ...common.Address) File {
	alloc := make(Alloc, len(f.Alloc))
	for address, account := range f.Alloc {
		if !slices.Contains(keep, address) {
			account = Account{}
		}
		alloc[address] = account
	}
	f.Alloc = alloc
	return f
}

// Missing are the accounts that have only a placeholder, in order.
func (f File) Missing() []common.Address {
	var out []common.Address
	for address, account := range f.Alloc {
		if account.isEmpty() {
			out = append(out, address)
		}
	}
	slices.SortFunc(out, compareAddresses)
	return out
}

// JSON is the file's text. It is the same for the same file.
func (f File) JSON() ([]byte, error) {
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write genesis: %w", err)
	}
	return append(text, '\n'), nil
}

// Parse reads a genesis file. Like Besu it does not care for the case of keys.
func Parse(text []byte) (File, error) {
	var f File
	decoder := json.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&f); err != nil {
		return File{}, fmt.Errorf("read genesis: %w", err)
	}
	return f, nil
}

// Account is what an account has from the first block on.
type Account struct {
	Balance Quantity                    `json:"balance"`
	Nonce   *Quantity                   `json:"nonce,omitempty"`
	Code    hexutil.Bytes               `json:"code,omitempty"`
	Storage map[common.Hash]common.Hash `json:"storage,omitempty"`
}

// isEmpty says that nothing is in the account. The state has it all the same,
// but a sparse file's placeholder looks like it, so that Build makes none.
func (a Account) isEmpty() bool {
	return a.Balance.Sign() == 0 && (a.Nonce == nil || a.Nonce.Sign() == 0) && len(a.Code) == 0 && len(a.Storage) == 0
}

// UnmarshalJSON reads storage with keys and values of any length up to 32 bytes.
func (a *Account) UnmarshalJSON(text []byte) error {
	var read struct {
		Balance *Quantity
		Nonce   *Quantity
		Code    *hexutil.Bytes
		Storage map[string]string
	}
	if err := json.Unmarshal(text, &read); err != nil {
		return err
	}
	*a = Account{Nonce: read.Nonce}
	if read.Balance != nil {
		a.Balance = *read.Balance
	}
	if read.Code != nil {
		a.Code = *read.Code
	}
	for key, value := range read.Storage {
		slot, err := word(key)
		if err != nil {
			return err
		}
		content, err := word(value)
		if err != nil {
			return err
		}
		if a.Storage == nil {
			a.Storage = make(map[common.Hash]common.Hash, len(read.Storage))
		}
		a.Storage[slot] = content
	}
	return nil
}

func word(text string) (common.Hash, error) {
	value, err := parseNumber([]byte(strconv.Quote("0x" + strings.TrimPrefix(text, "0x"))))
	if err != nil || value.BitLen() > 8*common.HashLength {
		return common.Hash{}, fmt.Errorf("%q is not a storage word: up to 64 hex digits", text)
	}
	return common.BigToHash(value), nil
}

// Alloc is what is on the chain from the first block on.
type Alloc map[common.Address]Account

// UnmarshalJSON reads addresses with and without 0x, as Besu does.
func (a *Alloc) UnmarshalJSON(text []byte) error {
	var read map[string]Account
	if err := json.Unmarshal(text, &read); err != nil {
		return err
	}
	*a = make(Alloc, len(read))
	for key, account := range read {
		if !common.IsHexAddress(key) {
			return fmt.Errorf("%q is not an address", key)
		}
		address := common.HexToAddress(key)
		if _, twice := (*a)[address]; twice {
			return fmt.Errorf("account %s is there twice", address)
		}
		(*a)[address] = account
	}
	return nil
}

// ParseAlloc reads accounts by address, as the section alloc of a genesis file
// has them.
func ParseAlloc(text []byte) (Alloc, error) {
	var out Alloc
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, fmt.Errorf("read allocations: %w", err)
	}
	return out, nil
}

func compareAddresses(a, b common.Address) int { return bytes.Compare(a[:], b[:]) }
