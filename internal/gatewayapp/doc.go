// Package gatewayapp puts the gateway together: the pool of upstreams, the
// cache, the pipeline and the two HTTP servers, and runs them in order.
package gatewayapp
