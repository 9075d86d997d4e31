// Package auth says who a client is. ReadCredentials takes what a request
// shows, once; an Authenticator holds that against the strategies of a project,
// in their order, and the first that knows the client makes its Principal.
//
// A strategy is passed over when the request shows nothing it could judge. The
// network strategy judges by address alone, and only requests that show no
// credentials of a kind another strategy asks for: a wrong secret is not
// forgiven for where it comes from. Without any strategy everybody is let in.
package auth
