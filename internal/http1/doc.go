// Package http1 serves plain HTTP/1.1 requests at a fraction of net/http's cost,
// through the same http.Handler.
//
// A plain request is a POST with a Content-Length, small enough to be read
// whole, and with nothing in its header that asks for more than an answer:
// what clients of JSON-RPC send. The first request on a connection that is
// anything else hands the connection, with all that was read of it, to a
// http.Server of net/http for good. So HTTP/2, WebSockets, chunked bodies and
// everything unusual or malformed are net/http's to judge, and this package
// only has to be sure of what it takes (parse.go).
//
// What is saved is memory and system calls: the request, its header and its
// URL belong to the connection and are used again, an answer leaves with one
// write, deadlines are renewed now and then, and no goroutine reads in the
// background to notice that a client has left: one watcher looks after all
// connections (watch.go).
//
// A handler must not keep the request, its header or its body after it has
// returned. The context of a request is that of its connection: it ends with
// the connection, not with the request.
package http1
