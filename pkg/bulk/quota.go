package bulk

import "github.com/hoft/hoft/pkg/chunk"

// account is what an unfinished exchange of the peer takes of the store here.
type account struct {
	names map[chunk.Name]struct{}
	bytes int64
}

// charge adds chunks to the account of an exchange; false: that is more than the peer, or one exchange, may take. Then
// the layer above is told. What this site asked for itself is not charged.
func (p *Peer) charge(x ID, recs []chunk.Record) (ok bool) {
	if p.fetches[x] != nil {
		return true
	}
	a := p.accounts[x]
	if a == nil {
		a = &account{names: map[chunk.Name]struct{}{}}
		p.accounts[x] = a
	}
	for _, r := range recs {
		if _, known := a.names[r.Name]; known {
			continue
		}
		a.names[r.Name] = struct{}{}
		a.bytes += r.Len
		p.charged += r.Len
	}
	if (p.cfg.ExchangeBytes <= 0 || a.bytes <= p.cfg.ExchangeBytes) && (p.cfg.PeerBytes <= 0 || p.charged <= p.cfg.PeerBytes) {
		return true
	}
	p.changes.Refused = append(p.changes.Refused, x)
	return false
}

// Hold charges an exchange with chunks that it needs and that are here already.
func (p *Peer) Hold(x ID, recs []chunk.Record) { p.charge(x, recs) }

// discharge closes the account of an exchange.
func (p *Peer) discharge(x ID) {
	if a := p.accounts[x]; a != nil {
		p.charged -= a.bytes
		delete(p.accounts, x)
	}
}
