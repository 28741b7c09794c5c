package config

import (
	"fmt"
	"strconv"
)

// limits checks how much callers may ask for.
func (v *checker) limits(l Limits) {
	for _, r := range []struct {
		key, value string
		bytes      bool
	}{{"limits.caller_calls", l.CallerCalls, false}, {"limits.caller_bytes", l.CallerBytes, true},
		{"limits.peer_calls", l.PeerCalls, false}, {"limits.peer_bytes", l.PeerBytes, true}} {
		if _, err := ParseRate(r.value, r.bytes); err != nil {
			v.bad(r.key, strconv.Quote(r.value), "is no rate", err.Error())
		}
	}
	v.count("limits.caller_in_flight", l.CallerInFlight, 0)
	v.count("limits.peer_in_flight", l.PeerInFlight, 0)
	v.size("limits.peer_stored", l.PeerStored, 0, 1<<60)
}

// callbacks checks where callbacks may go.
func (v *checker) callbacks(c *Config) {
	v.secret("callbacks.secret_file", c.Callbacks.SecretFile)
	for i, s := range c.Callbacks.Allow {
		if _, err := ParseURLPattern(s); err != nil {
			v.bad(fmt.Sprintf("callbacks.allow[%d]", i), strconv.Quote(withoutCredentials(s)), "is no pattern for URLs", err.Error())
		}
	}
}
