package chunk

import "fmt"

// nodes collects the lines of a map, level by level, and seals full nodes.
type nodes struct {
	s        *Sealer
	sink     Sink
	full     int  // entries that make a node
	root     int  // bytes of JSON that the outermost list may have
	compress bool // nodes
	levels   [MaxLevel + 1][]Entry
	text     []byte
}

// nodeEntries is how many entries a node has that a Writer makes: some 130 KiB of JSON.
const nodeEntries = 1024

// add hands one chunk to the sink and takes its line.
func (n *nodes) add(x Sealed) error {
	x.Entry.Num = int64(len(n.levels[x.Entry.Lvl]))
	if err := n.sink(x.Entry, x.Record, x.Bytes); err != nil {
		return err
	}
	return n.line(x.Entry)
}

// line takes the line of a chunk that is there already. One of a higher level must be aligned.
func (n *nodes) line(e Entry) error {
	lvl := e.Lvl
	e.Num = int64(len(n.levels[lvl]))
	n.levels[lvl] = append(n.levels[lvl], e)
	if len(n.levels[lvl]) == n.full {
		return n.fold(int(lvl))
	}
	return nil
}

// aligned says whether a line of a level may come next: nothing of a lower level waits for its node.
func (n *nodes) aligned(lvl uint8) bool {
	for _, below := range n.levels[:lvl] {
		if len(below) > 0 {
			return false
		}
	}
	return true
}

// repeat takes the line of a chunk that is there already count times: whole nodes of it at once, so that its time grows
// with the logarithm of count.
func (n *nodes) repeat(e Entry, count int64) error {
	full := int64(n.full)
	for count > 0 && (len(n.levels[e.Lvl]) > 0 || count < full || e.Lvl == MaxLevel) {
		if err := n.line(e); err != nil {
			return err
		}
		count--
	}
	if count == 0 {
		return nil
	}
	block := nodes{s: n.s, sink: n.sink, full: n.full + 1, root: n.root, compress: n.compress}
	for range n.full {
		if err := block.line(e); err != nil {
			return err
		}
	}
	if err := block.fold(int(e.Lvl)); err != nil {
		return err
	}
	if err := n.repeat(block.levels[e.Lvl+1][0], count/full); err != nil {
		return err
	}
	return n.repeat(e, count%full)
}

// fold seals the lines of a level as one node of the next.
func (n *nodes) fold(lvl int) error {
	if lvl == MaxLevel {
		return fmt.Errorf("%w: the map would need more than %d levels", ErrTooLarge, MaxLevel)
	}
	size, err := checkEntries(n.levels[lvl])
	if err != nil {
		return err
	}
	n.text = appendEntries(n.text[:0], n.levels[lvl])
	n.levels[lvl] = n.levels[lvl][:0]
	return n.add(n.s.seal(nil, n.text, size, uint8(lvl+1), n.compress))
}

// top folds until the lines of one level remain that are short enough, and gives them.
func (n *nodes) top() (Map, error) {
	for lvl := range n.levels {
		last := len(n.levels[lvl]) > 0
		for _, above := range n.levels[lvl+1:] {
			last = last && len(above) == 0
		}
		if last && len(appendEntries(n.text[:0], n.levels[lvl])) <= n.root {
			return Map{Entries: n.levels[lvl]}, nil
		}
		if len(n.levels[lvl]) == 0 {
			continue
		}
		if err := n.fold(lvl); err != nil {
			return Map{}, err
		}
	}
	return Map{}, fmt.Errorf("%w: no map of %d levels holds it", ErrTooLarge, MaxLevel)
}
