package api

import (
	"encoding/json"

	"github.com/slipwayhq/slipway/internal/contract"
	"github.com/slipwayhq/slipway/internal/strictjson"
)

// checkNumbers refuses JSON numbers that many programs round: what is signed
// would be another amount than the one the user was shown.
func checkNumbers(text json.RawMessage, at string) error {
	var object map[string]json.RawMessage
	var list []json.RawMessage
	switch {
	case len(text) > 0 && text[0] == '{' && json.Unmarshal(text, &object) == nil:
		for name, value := range object {
			if err := checkNumbers(value, strictjson.Field(at, name)); err != nil {
				return err
			}
		}
	case len(text) > 0 && text[0] == '[' && json.Unmarshal(text, &list) == nil:
		for i, value := range list {
			if err := checkNumbers(value, strictjson.Index(at, i)); err != nil {
				return err
			}
		}
	case len(text) > 0 && (text[0] == '-' || (text[0] >= '0' && text[0] <= '9')):
		if _, err := contract.Integer(text); err != nil {
			return &strictjson.Error{Pointer: at, Reason: err.Error()}
		}
	}
	return nil
}
