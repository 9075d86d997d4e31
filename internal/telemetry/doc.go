// Package telemetry is how a program speaks of itself: its log, its metrics
// and its admin endpoints (/metrics, /livez, /readyz).
package telemetry
