// Package badpeer plays a trusted peer that has turned bad against a running site: its tests send sealed files with everything
// that such a peer can make up, and hold the table in docs/security.md.
package badpeer
