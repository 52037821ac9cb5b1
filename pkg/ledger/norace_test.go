//go:build !race

package ledger

const mostFaults = 2
