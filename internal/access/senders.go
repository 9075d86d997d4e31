package access

import (
	"slices"

	"github.com/ethereum/go-ethereum/common"
)

// Senders says which tenant may use which sender.
type Senders struct {
	owners map[common.Address][]string
	listed map[string]bool // tenants with a list
}

// NewSenders reads the tenants' lists.
func NewSenders(tenants []Tenant) Senders {
	s := Senders{owners: map[common.Address][]string{}, listed: map[string]bool{}}
	for _, t := range tenants {
		s.listed[t.Name] = true
		for _, text := range t.Senders {
			a := common.HexToAddress(text)
			s.owners[a] = append(s.owners[a], t.Name)
		}
	}
	return s
}

// May says whether a tenant may use a sender.
func (s Senders) May(tenant string, sender common.Address) bool {
	owners := s.owners[sender]
	return slices.Contains(owners, tenant) || len(owners) == 0 && !s.listed[tenant]
}
