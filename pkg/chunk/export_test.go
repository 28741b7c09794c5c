package chunk

import "context"

// OpenOn opens a store on a disk of the tests.
func OpenOn(ctx context.Context, d *FakeDisk, idx Index, o StoreOptions) (*Store, error) {
	return openOn(ctx, d, idx, o)
}
