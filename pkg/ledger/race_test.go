//go:build race

package ledger

// The race detector finds nothing in a search by one goroutine, but makes it many
// times slower: one fault a world is enough there.
const mostFaults = 1
