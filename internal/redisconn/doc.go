// Package redisconn connects to Redis: one server, a master behind Sentinel, or
// a Cluster. It is the one place that sets the library's options.
//
// Every use is bounded by one short time and is never repeated: what is asked
// of Redis here can be done without it. A Redis that is away or slow therefore
// costs its time once. After that it is left alone for a while, longer after
// each failure, and a single caller finds out whether it is back.
package redisconn
