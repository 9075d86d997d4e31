// Package policy decides what may be signed. Its rules come from the
// configuration; its decisions are pure: they depend on the rules and on the
// request, on no clock, database or network. What needs those, the sums of
// windows and the votes of approvers, a decision only names.
//
// All rules that match count, in any order: a deny wins over everything, then
// require_approval, then allow. Once there is a rule, what no rule allows is
// denied. What cannot be told of a request (its gas when it will be estimated,
// arguments that are not decodable) never matches a rule that allows and always
// one that denies or asks for approval: it counts against the caller.
package policy
