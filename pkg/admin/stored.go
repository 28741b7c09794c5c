package admin

import (
	"context"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/store"
)

// stored lists exchanges of a site that does not run.
type stored struct {
	db    *store.ReadOnly
	peers map[identity.ID]string
}

// List is what a running site does, from its rows alone.
func (s stored) List(ctx context.Context, f exchange.Filter) ([]*exchange.State, error) {
	return exchange.ListStored(ctx, s.db, s.peers, f)
}

// StoredExchanges lists exchanges from the state folder of a site that does not run, without changing it. It fails with
// fs.ErrNotExist where there is no database.
func StoredExchanges(ctx context.Context, stateDir string, peers []Name, f exchange.Filter) (*ExchangeList, error) {
	db, err := store.OpenReadOnly(stateDir)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	s := stored{db, map[identity.ID]string{}}
	for _, p := range peers {
		s.peers[p.ID] = p.Name
	}
	return list(ctx, s, f)
}

// StoredCallbacks lists callbacks that were given up likewise.
func StoredCallbacks(ctx context.Context, stateDir string) (*CallbackList, error) {
	db, err := store.OpenReadOnly(stateDir)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	return Callbacks(ctx, db)
}
