// Package sharedstate is what the gateways of one installation tell each other,
// through Redis: how far each network is known to have come, and which nodes an
// operator has taken out (cordoned).
//
// Nothing here waits for Redis on the way of a request: what is said is kept in
// memory and sent in the background, what others say is read every half second.
// While Redis is away each gateway goes on with what it knows. Cordons set in
// that time hold here at once and everywhere when Redis is back. Without Redis
// they hold in this gateway, until it ends.
package sharedstate
