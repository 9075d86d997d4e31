package contract

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"
)

const eventABI = `[
	{"type":"event","name":"Transfer","inputs":[
		{"name":"from","type":"address","indexed":true},{"name":"to","type":"address","indexed":true},{"name":"value","type":"uint256","indexed":false}]},
	"event Transfer(address indexed from, address indexed to, uint256 indexed id)",
	"event Named(string indexed name, bytes4 indexed id, bool indexed on, string text, (int8,bytes)[] list)",
	"event Twice(uint8 indexed a, uint8 b)", "event Twice(uint8 a, uint8 indexed b)",
	"event Hidden(uint8 a) anonymous",
	"event Deep(uint8[][] a)",
	{"type":"event","name":"not a name","inputs":[{"type":"nothing"}]},
	"event Bare()"]`

func word32(hexText string) common.Hash { return common.HexToHash(hexText) }

func topicOf(signature string) common.Hash { return crypto.Keccak256Hash([]byte(signature)) }

func TestLogged(t *testing.T) {
	t.Parallel()
	one, two := word32("0x0000000000000000000000001111111111111111111111111111111111111111"), word32("0x02")
	transfer, named, twice := topicOf("Transfer(address,address,uint256)"), topicOf("Named(string,bytes4,bool,string,(int8,bytes)[])"), topicOf("Twice(uint8,uint8)")
	namedData := words("40", "80", "2") + "6869" + strings.Repeat("0", 60) + words("1", "20") + strings.Repeat("f", 64) + words("40", "1") + "ff" + strings.Repeat("0", 62)
	for name, c := range map[string]struct {
		topics []common.Hash
		data   string
		want   string // "" for a log that stays raw
	}{
		"indexed and data": {[]common.Hash{transfer, one, two}, words("fa"), `{"name":"Transfer","signature":"Transfer(address,address,uint256)","arguments":[
			{"name":"from","type":"address","value":"0x1111111111111111111111111111111111111111","indexed":true},
			{"name":"to","type":"address","value":"0x0000000000000000000000000000000000000002","indexed":true},
			{"name":"value","type":"uint256","value":"250","indexed":false}]}`},
		"its namesake with another layout": {[]common.Hash{transfer, one, two, two}, "", `{"name":"Transfer","signature":"Transfer(address,address,uint256)","arguments":[
			{"name":"from","type":"address","value":"0x1111111111111111111111111111111111111111","indexed":true},
			{"name":"to","type":"address","value":"0x0000000000000000000000000000000000000002","indexed":true},
			{"name":"id","type":"uint256","value":"2","indexed":true}]}`},
		"hashes and nested data": {[]common.Hash{named, topicOf("x"), word32("0x01020304" + strings.Repeat("0", 56)), word32("0x01")}, namedData, `{"name":"Named","signature":"Named(string,bytes4,bool,string,(int8,bytes)[])","arguments":[
			{"name":"name","type":"string","value":"` + topicOf("x").Hex() + `","indexed":true,"isHash":true},
			{"name":"id","type":"bytes4","value":"0x01020304","indexed":true},
			{"name":"on","type":"bool","value":true,"indexed":true},
			{"name":"text","type":"string","value":"hi","indexed":false},
			{"name":"list","type":"(int8,bytes)[]","value":[["-1","0xff"]],"indexed":false}]}`},
		"no arguments":              {[]common.Hash{topicOf("Bare()")}, "", `{"name":"Bare","signature":"Bare()","arguments":[]}`},
		"two that fit":              {[]common.Hash{twice, two}, words("1"), ""},
		"unknown":                   {[]common.Hash{topicOf("Other()")}, "", ""},
		"no topics":                 {nil, words("1"), ""},
		"anonymous":                 {[]common.Hash{topicOf("Hidden(uint8)")}, words("1"), ""},
		"lists in lists":            {[]common.Hash{topicOf("Deep(uint8[][])")}, words("20", "0"), ""},
		"a topic too few":           {[]common.Hash{transfer, one}, words("1"), ""},
		"data cut short":            {[]common.Hash{transfer, one, two}, "00", ""},
		"data where none belongs":   {[]common.Hash{transfer, one, two, two}, words("1"), ""},
		"a topic that is no value":  {[]common.Hash{named, one, two, two}, namedData, ""},
		"more data than is decoded": {[]common.Hash{transfer, one, two}, strings.Repeat(words("1"), 200), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := hex.DecodeString(c.data)
			require.NoError(t, err)
			known := parse(t, eventABI)
			kept, err := json.Marshal(known.Events())
			require.NoError(t, err)
			for _, a := range []ABI{known, parse(t, string(kept))} {
				got := a.Logged(c.topics, data)
				if c.want == "" {
					require.Nil(t, got)
					continue
				}
				text, err := json.Marshal(got)
				require.NoError(t, err)
				require.JSONEq(t, c.want, string(text))
			}
		})
	}
}

// words are numbers as the ABI encodes them.
func words(numbers ...string) string {
	var out strings.Builder
	for _, n := range numbers {
		out.WriteString(strings.Repeat("0", 64-len(n)) + n)
	}
	return out.String()
}

func FuzzLogged(f *testing.F) {
	f.Add(`["event E(string indexed a, string[] b)"]`, []byte{1}, "E(string,string[])")
	f.Fuzz(func(t *testing.T, text string, data []byte, signature string) {
		a, err := Parse(json.RawMessage(text), "")
		if err != nil {
			return
		}
		topics := []common.Hash{topicOf(signature), {}, {}, {}}
		for n := range topics {
			if got := a.Logged(topics[:n+1], data); got != nil {
				_, err := json.Marshal(got)
				require.NoError(t, err)
			}
		}
	})
}
